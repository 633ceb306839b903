import { inline, solve } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import type { Graph, Tensors } from '../graph/graph.ts'
import { postorder } from '../graph/graph.ts'
import { layerEnds } from '../graph/layers.ts'
import { input, isParameter, type Parameter, parameterAttrs } from '../graph/leaf.ts'
import type { Normalization } from '../graph/normalization.ts'
import { lookup, nth, zip } from '../graph/present.ts'
import { type Dim, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { currentTrace, trace } from '../graph/tracing.ts'
import { assign } from './buffer.ts'
import { withProperties } from './layer.ts'
import { declareParts, inLayer, namedParameters } from './parts.ts'

/** An input or target as a user declares it. */
export interface PortSpec {
  /** Shape of one example: sizes, and symbols for sizes that differ from batch to batch. */
  readonly shape: Shape
  /** @default 'float32' */
  readonly dtype?: DType
  /** Whether a `batch` dim is prepended to the shape. @default true */
  readonly batch?: boolean
  /** A short description, written to exported files. */
  readonly about?: string
}
/** Inputs or targets by name. */
export type PortSpecs = Readonly<Record<string, PortSpec>>

type Mutable<S> = { -readonly [K in keyof S]: S[K] }
type DTypeOf<P extends PortSpec> = P['dtype'] extends DType ? P['dtype'] : 'float32'
type ShapeOf<P extends PortSpec> = P['batch'] extends false
  ? Mutable<P['shape']>
  : ['batch', ...Mutable<P['shape']>]

/** The tensors of declared inputs or targets, by name. */
export type PortTensors<P extends PortSpecs> = {
  readonly [K in keyof P]: Tensor<DTypeOf<P[K]>, ShapeOf<P[K]>>
}

/**
 * A computation with parameters, from named inputs to named outputs. Its forward function was traced once, with symbols
 * for sizes that differ (`batch`); training steps, predictors and files are made from the graph.
 */
export interface Model {
  /** Name of the architecture, such as `vit`; with `config` it is enough to build one of `onnxgrad/models` again. */
  readonly name: string
  /** The configuration it was built with. */
  readonly config: object
  /** Inputs, parameters and outputs. */
  readonly graph: Graph
  /** The inputs as they were declared. */
  readonly inputs: PortSpecs
  /** The outputs by name. */
  readonly outputs: Tensors
  /** Parameters and buffers by name, in the order of declaration. */
  readonly parameters: ReadonlyMap<string, Parameter>
  /** Parameters, layers, arrays and records of them. */
  readonly layers: object
  /** New values that a training step assigns to buffers, by buffer name. */
  readonly assigned: Tensors
  /** Intermediate tensors that an exported file can return as outputs, such as attention maps. */
  readonly intermediates: Tensors
  /** Image inputs that the graph normalizes, by name. */
  readonly normalization: Readonly<Record<string, Normalization>>
  /**
   * The part of the model that computes one tensor, as a layer `(inputs) => tensor` of another model. It shares the model's
   * parameters.
   * @param options.output an output, an intermediate, or the path of a layer, such as `blocks.3`
   * @throws UserError for an unknown name
   */
  readonly layer: (options: { readonly output: string }) => (inputs: Tensors) => AnyTensor
}

/** A typed model; it can be called as a layer of another model. */
export type ModelOf<I extends PortSpecs, O extends Tensors, L extends object> = Model & {
  readonly inputs: I
  readonly outputs: O
  readonly layers: L
} & ((inputs: PortTensors<I>) => O)

/** Options of `model`. */
export interface ModelSpec<I extends PortSpecs, O extends Tensors, L extends object> {
  /** @default 'model' */
  readonly name?: string
  /** The configuration it was built with. */
  readonly config?: object
  /** Inputs of one example, by name. */
  readonly inputs: I
  /** Parameters, layers, arrays and records of them. Their paths name the parameters, such as `blocks.0.fc.weight`. */
  readonly layers: L
  /** Returns the outputs by name. Called once. */
  readonly forward: (self: L, inputs: PortTensors<I>) => O
  /** Further tensors that an exported file can return as outputs, such as attention maps. */
  readonly intermediates?: (self: L, inputs: PortTensors<I>) => Tensors
}

/**
 * Defines a model.
 * @example
 * const net = model({
 *   inputs: { x: { shape: [2] } },
 *   layers: { a: linear(2, 32), b: linear(32, 1) },
 *   forward: (self, { x }) => ({ y: self.b(ops.tanh(self.a(x))) }),
 * })
 * @throws ShapeError at the line of `forward` where shapes do not match
 * @throws UserError when a layer is created inside `forward`, or there are more than 2³¹ parameters
 */
export function model<const I extends PortSpecs, O extends Tensors, L extends object>({
  name = 'model',
  config = {},
  inputs,
  layers,
  forward,
  intermediates,
}: ModelSpec<I, O, L>): ModelOf<I, O, L> {
  if (currentTrace())
    throw new UserError(`${name}: a model is created inside another model's forward; create it once, outside`)
  const parameters = namedParameters(layers)
  const leaves = portTensors(name, inputs)
  const given = leaves as PortTensors<I>
  const traced = trace(() => ({
    outputs: checkOutputs(name, forward(layers, given)),
    intermediates: intermediates?.(layers, given) ?? {},
  }))
  const names = namesOf({ parameters })
  const assigned = Object.fromEntries(
    [...traced.assigned].map(([b, value]) => [nameOf(b, names, name), value]),
  )
  return modelOf({ name, config, inputs, leaves, layers, parameters, assigned, ...traced.result }) as ModelOf<
    I,
    O,
    L
  >
}

/** Names of a model's parameters and buffers. */
export const namesOf = ({ parameters }: Pick<Model, 'parameters'>): ReadonlyMap<Tensor, string> =>
  new Map([...parameters].map(([name, p]) => [p, name]))

const nameOf = (t: Tensor, names: ReadonlyMap<Tensor, string>, model: string): string =>
  names.get(t) ?? refuseStray(model, t)

function refuseStray(name: string, t: Tensor): never {
  throw new UserError(
    `${name}: forward uses a parameter of ${show(t.shape)} that is not among the model's layers; list it there`,
  )
}

/** Ports of a training step begin like this; a user's may not. */
const RESERVED = /^(state|next|scalar|each|loop)\./

/** The leaves for declared inputs or targets. @throws UserError for a name that is taken */
export function portTensors(owner: string, ports: PortSpecs): Record<string, AnyTensor> {
  return Object.fromEntries(
    Object.entries(ports).map(([name, { shape, dtype = 'float32', batch = true }]) => {
      if (!name || RESERVED.test(name))
        throw new UserError(
          `${owner}: ${name || 'an empty name'} cannot be the name of an input: names that begin with state., next., scalar., each. or loop. are reserved for the training step`,
        )
      return [name, input(name, dtype, batch ? ['batch', ...shape] : [...shape])]
    }),
  )
}

function checkOutputs<O extends Tensors>(name: string, outputs: O): O {
  const entries = Object.entries(outputs ?? {})
  const wrong = entries.find(([, t]) => typeof t !== 'object' || t === null || !('node' in t))
  if (!entries.length || wrong)
    throw new UserError(
      `${name}: forward must return its outputs by name, such as { y: … }${wrong ? `; ${wrong[0]} is not a tensor` : ''}`,
    )
  return outputs
}

/** All parameters are one vector, and no array holds more. */
const MOST_PARAMETERS = 2 ** 31

export interface ModelParts extends Pick<Model, 'name' | 'config' | 'inputs' | 'layers' | 'parameters'> {
  readonly leaves: Tensors
  readonly outputs: Tensors
  readonly assigned?: Tensors
  readonly intermediates?: Tensors
  readonly normalization?: Model['normalization']
}

/**
 * A model of a graph that was made already.
 * @throws UserError when it reads what is neither an input nor a parameter of it, or has more than 2³¹ parameters
 */
export function modelOf(parts: ModelParts): Model {
  const { name, config, inputs, layers, parameters, leaves, outputs } = parts
  const { assigned = {}, intermediates = {}, normalization = {} } = parts
  const size = sizeOfAll(parameters)
  if (size > MOST_PARAMETERS)
    throw new UserError(`${name}: has ${size} parameters; at most ${MOST_PARAMETERS} are allowed`)
  const known = new Set<Tensor>(parameters.values())
  const roots = [outputs, assigned, intermediates].flatMap(t => Object.values(t))
  for (const {
    outputs: [t],
  } of postorder(roots))
    if (t && isParameter(t) && !known.has(t)) refuseStray(name, t)
  const graph: Graph = { inputs: leaves, parameters: Object.fromEntries(parameters), outputs }

  /** Some of the model's tensors for other inputs; buffers get their new values there. */
  const part = (owner: object, given: Tensors, roots: readonly Tensor[]): Tensor[] =>
    inLayer(owner, () => {
      const updates = Object.entries(assigned)
      const all = insert(name, leaves, given, [...roots, ...updates.map(([, t]) => t)])
      for (const [[key], value] of zip(updates, all.slice(roots.length)))
        assign(lookup(parameters, key), value)
      return all.slice(0, roots.length)
    })
  const call = (given: Tensors): Tensors => {
    const made = part(call, given, Object.values(outputs))
    return Object.fromEntries(zip(Object.keys(outputs), made))
  }
  declareParts(call, layers)
  const layer: Model['layer'] = ({ output }) => {
    const found = outputs[output] ?? intermediates[output] ?? layerEnds(graph).get(output)?.output
    if (!found)
      throw new UserError(
        `${name}: has no output or layer ${output}; its outputs are ${Object.keys(outputs).join(', ')}`,
      )
    const own = (given: Tensors): AnyTensor => nth(part(own, given, [found]), 0)
    declareParts(own, layers)
    return own
  }
  const about = { name, config, graph, inputs, outputs, parameters, layers, assigned, intermediates }
  return Object.freeze(withProperties(call, { ...about, normalization, layer }))
}

/**
 * A model's tensors for other inputs. @param others further leaves that are replaced, such as parameters
 * @throws UserError for an input that is missing or unknown, ShapeError for one of another shape
 */
export function insert(
  name: string,
  leaves: Tensors,
  given: Tensors,
  roots: readonly Tensor[],
  others: ReadonlyMap<Tensor, Tensor> = new Map(),
): Tensor[] {
  const bindings: Record<string, Dim> = {}
  const unknown = Object.keys(given).find(key => !Object.hasOwn(leaves, key))
  if (unknown !== undefined)
    throw new UserError(`${name}: has no input ${unknown}; its inputs are ${Object.keys(leaves).join(', ')}`)
  const inputs = Object.entries(leaves).map(([key, leaf]): [Tensor, Tensor] => {
    const t = given[key]
    if (!t) throw new UserError(`${name}: input ${key} is missing`)
    if (t.dtype !== leaf.dtype)
      throw new UserError(`${name}: input ${key} is ${leaf.dtype}, not ${t.dtype}; cast it`)
    solve(`${name}: input ${key}`, leaf.shape, t.shape, bindings)
    return [leaf, t]
  })
  return inline(roots, new Map([...others, ...inputs]), bindings)
}

const sizeOf = (p: Parameter): number => p.shape.reduce<number>((n, d) => n * Number(d), 1)
const sizeOfAll = (parameters: ReadonlyMap<string, Parameter>): number =>
  [...parameters.values()].reduce((n, p) => n + sizeOf(p), 0)

/** Number of values that a model learns, without buffers. */
export const parameterCount = ({ parameters }: Pick<Model, 'parameters'>): number =>
  [...parameters.values()].filter(p => !parameterAttrs(p).buffer).reduce((n, p) => n + sizeOf(p), 0)

/** An image with pixels in [0, 1] as a model's input. */
export const imageInput = <C extends number, H extends number, W extends number = H>(
  channels: C,
  height: H,
  width: W | H = height,
) =>
  ({
    shape: [channels, height, width],
    about: 'pixels in [0, 1]',
  }) as const satisfies PortSpec
