import { UserError } from '../../graph/errors.ts'
import { nth } from '../../graph/present.ts'
import { equalShape, show } from '../../graph/shape.ts'
import { resampleGrid, resamplePatch } from './resample.ts'
import type { Values } from './weights.ts'

/** A tensor of the weights that does not have the shape, or name, of the model's parameter. */
export interface Adapted {
  /** Of the parameter. */
  readonly name: string
  /** Shape in the weights. */
  readonly from: readonly number[]
  /** Shape of the parameter. */
  readonly to: readonly number[]
  /** What was done, such as `interpolated`, or why nothing was. */
  readonly how: string
}

/** The parameter that weights of another shape are for. */
export interface Place {
  readonly name: string
  readonly shape: readonly number[]
  /** Whether it is the model's first convolution, which reads the image. */
  readonly readsImage: boolean
  /** Tokens in front of the patches', in the weights and in the model. */
  readonly prefix: { readonly from: number; readonly to: number }
}

/** Values that fit, or none where the parameter keeps its own, with what was done to each. */
interface Fitted {
  readonly values?: Values
  readonly how: string
}

const POSITIONS = /(^|\.)(pos_embed|positional_emb)$/
const PATCHES = /(^|\.)patch_embed\.proj\.weight$/
const HEAD = /^(head|head_dist|fc)\.(weight|bias)$/

/** The side of a square grid of so many patches. */
const sideOf = (tokens: number): number | undefined => {
  const side = Math.sqrt(tokens)
  return Number.isInteger(side) && side ? side : undefined
}

/** Position embeddings for another grid, or without the distillation token. */
function positions(given: Values, { shape, prefix }: Place): Fitted | undefined {
  const [one, count = 0, dim = 0] = given.shape
  const [, wanted = 0, own] = shape
  const [from, to] = [sideOf(count - prefix.from), sideOf(wanted - prefix.to)]
  if (one !== 1 || dim !== own || !from || !to || prefix.from < prefix.to) return undefined
  const { data } = given
  const kept = new Float32Array(data.length - (prefix.from - prefix.to) * dim)
  kept.set(data.subarray(0, prefix.to * dim))
  kept.set(data.subarray(prefix.from * dim), prefix.to * dim)
  const values: Values = { shape: [1, prefix.to + from * from, dim], data: kept }
  const how = prefix.from > prefix.to ? ['without the distillation token'] : []
  if (from === to) return { values, how: how.join() }
  return {
    values: resampleGrid(values, prefix.to, from, to),
    how: ['interpolated', ...how].join(', '),
  }
}

/**
 * The first convolution for another number of channels, as timm's `adapt_input_conv`: summed for one channel, else repeated and
 * scaled, so that an image whose channels are equal gives what it gave.
 */
function otherChannels({ shape, data }: Values, to: number): Values {
  const [outputs = 0, channels = 0, height = 0, width = 0] = shape
  const size = height * width
  const made = new Float32Array(outputs * to * size)
  const scale = to === 1 ? 1 : channels / to
  for (let o = 0; o < outputs; o++)
    for (let c = 0; c < Math.max(channels, to); c++) {
      if (to > 1 && c >= to) break
      const source = (o * channels + (c % channels)) * size
      const target = (o * to + (to === 1 ? 0 : c)) * size
      for (let i = 0; i < size; i++) made[target + i] = nth(made, target + i) + scale * nth(data, source + i)
    }
  return { shape: [outputs, to, height, width], data: made }
}

/** A convolution of another kernel or number of channels. */
function convolution(given: Values, { name, shape, readsImage }: Place): Fitted | undefined {
  const [outputs, channels = 0, height = 0, width = 0] = given.shape
  const [own, wanted = 0, rows = 0, columns = 0] = shape
  const resized = height !== rows || width !== columns
  const square = height === width && rows === columns
  if (outputs !== own || !readsImage || (resized && !(square && PATCHES.test(name)))) return undefined
  const patches = resized ? resamplePatch(given, rows) : given
  const values = channels === wanted ? patches : otherChannels(patches, wanted)
  const how = [
    ...(resized ? ['resampled'] : []),
    ...(channels === wanted ? [] : [wanted === 1 ? 'channels summed' : 'channels repeated and scaled']),
  ]
  return { values, how: how.join(', ') }
}

function fitted(given: Values, place: Place): Fitted | undefined {
  const [from = 0, ...rest] = given.shape
  const [to, ...own] = place.shape
  if (HEAD.test(place.name) && equalShape(rest, own)) return { how: `not loaded: ${from} classes for ${to}` }
  if (given.shape.length !== place.shape.length) return undefined
  if (POSITIONS.test(place.name) && given.shape.length === 3) return positions(given, place)
  return given.shape.length === 4 ? convolution(given, place) : undefined
}

/**
 * Weights of another shape made to fit a parameter: position embeddings of another grid, a first convolution of other channels or
 * patches, a head of other classes (which is left out). @throws UserError for any other shape, with both
 */
export function adapt(given: Values, place: Place): Fitted {
  const found = fitted(given, place)
  if (found) return found
  throw new UserError(
    `weights: ${place.name} is ${show(given.shape)} in the weights, but ${show(place.shape)} in the model; build the model with the sizes of the weights`,
  )
}
