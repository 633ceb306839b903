import { type Rng, rng } from '../../src/graph/random.ts'
import { type Dim, type Shape, UNKNOWN } from '../../src/graph/shape.ts'

export const SIZES = [0, 1, 1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 49, 64, 100, 128, 768, 50257]
const SYMBOLS = ['batch', 'n', 'batch*17', 'past+seq', 'n*m']

/** What a case is made with: dims, shapes and small numbers, and how it is written as types. */
export class Draw {
  readonly random: Rng
  /** Share of the dims and numbers that the compiler is not told. */
  readonly hidden: number
  constructor(seed: number, hidden: number) {
    this.random = rng(seed)
    this.hidden = hidden
  }
  /** A literal type, or one that also allows other values. */
  literal = (text: string): string =>
    this.hidden && this.chance(this.hidden) ? this.pick(['number', `${text} | 7`]) : text
  size = (n: number): string => this.literal(String(n))
  dimType = (d: Dim): string => this.literal(dimType(d))
  type = (shape: Shape): string => `[${shape.map(this.dimType).join(', ')}]`
  list = (numbers: readonly number[]): string => `[${numbers.map(this.size).join(', ')}]`
  int = (from: number, to: number): number => from + this.random.int(to - from + 1)
  chance = (p: number): boolean => this.random.uniform() < p
  pick = <T>(from: readonly T[]): T => from[this.random.int(from.length)]!
  dim = (): Dim => (this.chance(0.08) ? UNKNOWN : this.chance(0.2) ? this.pick(SYMBOLS) : this.pick(SIZES))
  shape = (from: number, to: number): Dim[] => Array.from({ length: this.int(from, to) }, this.dim)
  /** A dim that mostly equals `d`. */
  near = (d: Dim): Dim => (this.chance(0.1) ? this.dim() : this.chance(0.05) ? UNKNOWN : d)
  /** A dim that mostly broadcasts with `d`. */
  beside = (d: Dim): Dim => (this.chance(0.25) ? 1 : this.near(d))
  /** An axis that mostly exists. */
  axis = (rank: number): number =>
    this.chance(0.1) ? this.int(-rank - 2, rank + 1) : this.int(-rank, rank - 1)
  shuffle = <T>(list: readonly T[]): T[] => {
    const out = [...list]
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.random.int(i + 1)
      ;[out[i], out[j]] = [out[j]!, out[i]!]
    }
    return out
  }
}

export interface Case {
  /** A type that applies the compiler's rule. */
  readonly type: string
  /** The run time's rule for the same arguments. */
  readonly run: () => Shape | readonly Shape[]
}

export const dimType = (d: Dim): string =>
  d === UNKNOWN ? 'number' : typeof d === 'string' ? `'${d}'` : String(d)
export const type = (shape: Shape): string => `[${shape.map(dimType).join(', ')}]`
