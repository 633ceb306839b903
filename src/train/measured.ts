/** Loss and metrics by name. */
export type Measured = Readonly<Record<'loss', number> & Record<string, number>>

/** Loss and metrics over a whole data set by name, and `count`, the number of examples. */
export type Evaluation = Measured & { readonly count: number }
