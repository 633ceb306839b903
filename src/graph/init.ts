/** Initial value of a parameter, as in torch.nn.init. */
export type Init =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number }
  /** Normal, redrawn outside two standard deviations (`trunc_normal_`). */
  | { readonly kind: 'truncNormal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  /** Given values in row-major order, such as those of a file. */
  | { readonly kind: 'values'; readonly values: ArrayLike<number> }
