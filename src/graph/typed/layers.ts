import type { Dim, Shape } from '../shape.ts'
import type { Show, Unify } from './dims.ts'
import type { Loose, Zip } from './shapes.ts'

/** `x weightᵀ` with weight `[out, in]`. */
export type Linear<Op extends string, X extends Shape, W extends Shape> = number extends
  | X['length']
  | W['length']
  ? Loose<X, W>
  : W extends readonly [infer N, infer L]
    ? X extends readonly [...infer R, infer K]
      ? Unify<K, L> extends false
        ? `${Op}: inner dims ${K & Dim} and ${L & Dim} of ${Show<X>} and weight ${Show<W>} differ`
        : [...R, N]
      : `${Op}: x of ${Show<X>} needs at least 1 dim`
    : `${Op}: weight ${Show<W>} is not [out,in]`

/** The bias of a linear layer or a convolution, one value per output. */
export type LinearBias<Op extends string, W extends Shape, B extends Shape> = W extends readonly [
  infer N extends Dim,
  ...unknown[],
]
  ? SameAs<B, [N]> extends false
    ? `${Op}: bias ${Show<B>} does not fit weight ${Show<W>}`
    : B
  : B

/** A bias of the shape of its weight. */
export type SameShape<Op extends string, W extends Shape, B extends Shape> =
  SameAs<B, W> extends false ? `${Op}: bias ${Show<B>} does not fit weight ${Show<W>}` : B

/** Layer norm over the trailing dims that `W` has. */
export type LayerNorm<Op extends string, X extends Shape, W extends Shape> = number extends X['length']
  ? X
  : (W extends readonly [] ? false : Tail<X, W>) extends false
    ? `${Op}: weight ${Show<W>} does not fit the last dims of ${Show<X>}`
    : X

/** RMS norm over the last dim. */
export type RmsNorm<Op extends string, X extends Shape, W extends Shape> = (
  X extends readonly []
    ? false
    : SameAs<W, [LastOf<X>]>
) extends false
  ? `${Op}: weight ${Show<W>} does not fit the last dim of ${Show<X>}`
  : X

type LastOf<X> = X extends readonly [...unknown[], infer D extends Dim] ? D : number

/** `false` when two shapes certainly differ. */
export type SameAs<A extends Shape, B extends Shape> = number extends A['length'] | B['length']
  ? true
  : A['length'] extends B['length']
    ? Tail<A, B>
    : false

/** `false` when the last dims of `A` are certainly not `B`. */
type Tail<A, B> = B extends readonly [...infer BR, infer Y]
  ? A extends readonly [...infer AR, infer X]
    ? Unify<X, Y> extends false
      ? false
      : Tail<AR, BR>
    : false
  : true

/** `q kᵀ` over the last two dims. */
export type Scores<Op extends string, Q extends Shape, K extends Shape> = number extends
  | Q['length']
  | K['length']
  ? Loose<Q, K>
  : [Q, K] extends [readonly [...infer QL, infer T, infer A], readonly [...infer KL, infer S, infer B]]
    ? Unify<A, B> extends false
      ? `${Op}: inner dims ${A & Dim} and ${B & Dim} of q ${Show<Q>} and k ${Show<K>} differ`
      : Zip<QL, KL> extends infer R
        ? R extends readonly unknown[]
          ? [...R, T, S]
          : `${Op}: leading ${R & string} of q ${Show<Q>} and k ${Show<K>} do not broadcast`
        : never
    : `${Op}: q ${Show<Q>} and k ${Show<K>} need at least 2 dims`

/** `softmax(q kᵀ) v` over the last two dims. */
export type Attention<Op extends string, Q extends Shape, K extends Shape, V extends Shape> = number extends
  | Q['length']
  | K['length']
  | V['length']
  ? Loose<Q, Loose<K, V>>
  : Scores<Op, Q, K> extends infer R
    ? R extends readonly [...infer RL, infer T, infer A]
      ? V extends readonly [...infer VL, infer B, infer E]
        ? Unify<A, B> extends false
          ? `${Op}: lengths ${A & Dim} and ${B & Dim} of k ${Show<K>} and v ${Show<V>} differ`
          : Zip<RL, VL> extends infer L
            ? L extends readonly unknown[]
              ? [...L, T, E]
              : `${Op}: leading ${L & string} of q ${Show<Q>}, k ${Show<K>} and v ${Show<V>} do not broadcast`
            : never
        : `${Op}: v ${Show<V>} needs at least 2 dims`
      : R
    : never
