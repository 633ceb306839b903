import { lookup } from '../../graph/present.ts'
import { AUTHORS_CCT } from './names-cct.ts'
import { HUGGING_FACE_RESNET, HUGGING_FACE_VIT, TORCHVISION_VIT } from './names-models.ts'
import type { Naming, Rules } from './naming.ts'
import type { Values } from './weights.ts'

const NAMINGS: readonly Naming[] = [
  { rules: [] },
  { rules: HUGGING_FACE_VIT },
  { rules: HUGGING_FACE_RESNET },
  { rules: TORCHVISION_VIT },
  AUTHORS_CCT,
]

/** Names of what a model was wrapped in when it was saved. */
const WRAPPER = /^(module|model|_orig_mod)\./

const PIECE = /\[(\d+)\]$/

/** Tensors of a checkpoint by the model's names. */
export interface Renamed {
  readonly tensors: ReadonlyMap<string, Values>
  /** The names in the file that each is made of. */
  readonly sources: ReadonlyMap<string, readonly string[]>
  readonly naming: Naming
}

const unwrapped = (name: string): string => {
  const inner = name.replace(WRAPPER, '')
  return inner === name ? name : unwrapped(inner)
}

const renamed = (name: string, rules: Rules): string =>
  rules.reduce((own, [pattern, to]) => own.replace(pattern, to), name)

/** Rows of tensors with equal further axes, one after the other. */
function stacked(pieces: readonly Values[]): Values {
  const [first] = pieces
  if (!first || pieces.length === 1) return first ?? { shape: [0], data: new Float32Array() }
  const [, ...rest] = first.shape
  const rows = pieces.reduce((n, { shape }) => n + (shape[0] ?? 0), 0)
  const data = new Float32Array(pieces.reduce((n, piece) => n + piece.data.length, 0))
  let at = 0
  for (const piece of pieces) {
    data.set(piece.data, at)
    at += piece.data.length
  }
  return { shape: [rows, ...rest], data }
}

function applied(floats: ReadonlyMap<string, Values>, naming: Naming, bare: boolean): Renamed {
  const pieces = new Map<string, { readonly place: number; readonly from: string }[]>()
  for (const from of floats.keys()) {
    const full = renamed(bare ? unwrapped(from) : from, naming.rules)
    const name = full.replace(PIECE, '')
    const place = Number(PIECE.exec(full)?.[1] ?? 0)
    const known = pieces.get(name)
    if (known) known.push({ place, from })
    else pieces.set(name, [{ place, from }])
  }
  const tensors = new Map<string, Values>()
  const sources = new Map<string, readonly string[]>()
  for (const [name, found] of pieces) {
    const from = found.sort((a, b) => a.place - b.place).map(piece => piece.from)
    tensors.set(name, stacked(from.map(source => lookup(floats, source))))
    sources.set(name, from)
  }
  return { tensors, sources, naming }
}

/** The tensors of a checkpoint under the names of a model: of the known namings, the one by which most of its names are found. */
export function byModelNames(floats: ReadonlyMap<string, Values>, names: ReadonlySet<string>): Renamed {
  const found = NAMINGS.flatMap(naming => [applied(floats, naming, false), applied(floats, naming, true)])
  const score = ({ tensors }: Renamed) => [...tensors.keys()].filter(name => names.has(name)).length
  return found.reduce((best, next) => (score(next) > score(best) ? next : best))
}
