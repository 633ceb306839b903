import { UserError } from '../../graph/errors.ts'
import { type Parameter, parameter, parameterAttrs } from '../../graph/leaf.ts'
import { printable } from '../../graph/printable.ts'
import { equalShape } from '../../graph/shape.ts'
import { withParameters } from '../../nn/edit.ts'
import type { Model, ModelOf } from '../../nn/model.ts'
import { type Adapted, adapt, type Place } from './adapt.ts'
import { byModelNames } from './names.ts'
import { floatsOf, type PretrainedWeights, type Values } from './weights.ts'

export type { Adapted }

/** A model that starts from weights, and what became of each of them. */
export interface Pretrained<M extends Model = Model> {
  /** The model, whose parameters are initialized with the weights. Its layers are its parameters, by name. */
  readonly model: ModelOf<M['inputs'], M['outputs'], object>
  /** Parameters and buffers that start at the weights, adapted or as they are. */
  readonly loaded: readonly string[]
  /** Parameters and buffers that the weights lack, with the model's own initialization. */
  readonly missing: readonly string[]
  /** Names in the weights that the model does not have. */
  readonly unexpected: readonly string[]
  /** Weights of another shape or name, and what was done. */
  readonly adapted: readonly Adapted[]
}

/** The norm before the head is `fc_norm` where it reads the mean of the tokens, as in timm; weights may have the other one. */
const otherNorm = (name: string): string | undefined => {
  if (/^norm\./.test(name)) return `fc_${name}`
  return /^fc_norm\./.test(name) ? name.slice('fc_'.length) : undefined
}

/** Tokens in front of the patches', of what has these names. */
const prefixOf = (has: { has(name: string): boolean }, positions: string): number => {
  const folder = positions.replace(/[^.]*$/, '')
  return ['cls_token', 'dist_token'].filter(token => has.has(folder + token)).length
}

const some = (names: Iterable<string>): string =>
  printable([...names].slice(0, 3).join(', ') || 'no float tensors', 300)

/** What each parameter of a model starts from. */
function fit(model: Model, tensors: ReadonlyMap<string, Values>) {
  const { parameters } = model
  const values = new Map<string, Values>()
  const adapted: Adapted[] = []
  const used = new Set<string>()
  const missing: string[] = []
  const first = [...parameters].find(([, p]) => parameterAttrs(p).shape.length === 4)?.[0]
  for (const [name, p] of parameters) {
    const { shape } = parameterAttrs(p)
    const other = otherNorm(name)
    const source = tensors.has(name) || other === undefined || parameters.has(other) ? name : other
    const given = tensors.get(source)
    if (!given) {
      missing.push(name)
      continue
    }
    used.add(source)
    const place: Place = {
      name,
      shape,
      readsImage: name === first,
      prefix: { from: prefixOf(tensors, name), to: prefixOf(parameters, name) },
    }
    const same = equalShape(given.shape, shape)
    const { values: fitting, how } = same ? { values: given, how: '' } : adapt(given, place)
    const renamed = source === name ? [] : [`from ${source}`]
    const done = [...(how ? [how] : []), ...renamed].join(', ')
    if (done) adapted.push({ name, from: given.shape, to: shape, how: done })
    if (fitting) values.set(name, fitting)
  }
  return { values, adapted, used, missing }
}

/** Attention without biases of queries, keys and values is attention whose biases are zero. */
function withoutBias(missing: readonly string[], model: Model, values: Map<string, Values>): Adapted[] {
  return missing.flatMap(name => {
    const own = model.parameters.get(name)
    if (!own || !/\.qkv\.bias$/.test(name) || !values.has(name.replace(/bias$/, 'weight'))) return []
    const { shape } = parameterAttrs(own)
    values.set(name, { shape, data: new Float32Array(shape[0] ?? 0) })
    return [{ name, from: [], to: shape, how: 'zero: the weights have no bias' }]
  })
}

/** A parameter like another that starts at given values. */
function startingAt(own: Parameter, { data }: Values): Parameter {
  const { shape, decay, buffer } = parameterAttrs(own)
  return parameter(shape, { kind: 'values', values: data }, { decay, buffer })
}

/**
 * A model of the same graph whose parameters and running statistics start at the weights of a checkpoint of timm, torchvision, Hugging
 * Face's transformers or CCT's authors; which one is found from the names. Position embeddings are interpolated to the model's grid,
 * the first convolution is adapted to its channels and patches, and a head of other classes keeps its own initialization, all as in timm.
 * @param weights tensors by name, such as `readSafetensors(bytes, name).tensors`
 * @throws UserError when no name matches, or another shape does not fit
 */
export function startFrom<M extends Model>(model: M, weights: PretrainedWeights): Pretrained<M> {
  const { floats, others } = floatsOf(weights)
  const names = new Set(model.parameters.keys())
  const { tensors, sources, naming } = byModelNames(floats, names)
  const { values, adapted, used, missing } = fit(model, tensors)
  if (!used.size)
    throw new UserError(
      `weights: no name is one of the model's; the weights have ${some(floats.keys())}, ${model.name} has ${some(names)}`,
    )
  const refusal = naming.refusal?.(model)
  if (refusal !== undefined) throw new UserError(refusal)
  const biases = withoutBias(missing, model, values)
  const filled = new Set(biases.map(({ name }) => name))
  const made = new Map<string, Parameter>()
  for (const [name, own] of model.parameters) {
    const start = values.get(name)
    if (start) made.set(name, startingAt(own, start))
  }
  return {
    model: withParameters(model, made) as Pretrained<M>['model'],
    loaded: [...made.keys()],
    missing: missing.filter(name => !filled.has(name)),
    unexpected: [...[...sources].flatMap(([name, from]) => (used.has(name) ? [] : from)), ...others],
    adapted: [...adapted, ...biases],
  }
}

/**
 * Shapes of a checkpoint's tensors under the names of a model, and settings that follow from how they are named.
 * @param names of the parameters of a model of that kind, whatever its size
 */
export function shapesAs(
  names: ReadonlySet<string>,
  weights: PretrainedWeights,
): { readonly shapes: ReadonlyMap<string, readonly number[]>; readonly config: object } {
  const { tensors, naming } = byModelNames(floatsOf(weights).floats, names)
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape] as const))
  return { shapes, config: naming.config ?? {} }
}
