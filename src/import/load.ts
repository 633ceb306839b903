import { type FileInfo, readOnnx } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, substitute, type Tensors } from '../graph/graph.ts'
import { constant, type Parameter, parameter } from '../graph/leaf.ts'
import { lookup, nth } from '../graph/present.ts'
import { type Dim, show, unify } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { type Model, type ModelOf, modelOf, type PortSpecs } from '../nn/model.ts'
import { ownChannels } from '../passes/whole-channels.ts'
import { inEvaluation } from './evaluation.ts'
import { type Imported, type ImportOptions, importOnnx, inputsOf } from './import.ts'
import { Unsupported } from './unsupported.ts'

/** Options of `load` and `loadOnnx`. */
export interface LoadOptions<I extends PortSpecs = PortSpecs> {
  /**
   * Inputs as in `model`: their sizes replace symbols in the file. A file's only input takes the name given here.
   * @default the file's inputs
   */
  readonly inputs?: I
  /**
   * Take any batch where the file was written for a batch of 1: a first dim of 1 of its inputs becomes `batch`, also where the file
   * reshapes to it. @default false
   */
  readonly freeBatch?: boolean
}

/** Parameters of a file as parameters of a model that start at the file's values. */
function parametersOf({ graph, weights }: Imported, users: ReadonlyMap<Tensor, 'buffer'>) {
  const leaves = new Map<Tensor, AnyTensor>()
  const named = new Map<string, Parameter>()
  for (const [name, old] of Object.entries(graph.parameters)) {
    const { dims, data } = lookup(weights, name)
    const values = data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>)
    if (old.dtype !== 'float32') {
      leaves.set(old, constant(values, old.dtype, dims))
      continue
    }
    const made: AnyTensor = parameter(
      dims,
      { kind: 'values', values },
      {
        buffer: users.has(old),
        // As is common with PyTorch: biases and norms do not decay.
        ...(users.has(old) ? {} : { decay: dims.length > 1 }),
      },
    )
    leaves.set(old, made)
    named.set(name, made)
  }
  return { leaves, named }
}

/** Inputs of ops that are kept but not trained, such as the running statistics of a batch norm. */
function statisticsOf(graph: Graph): Map<Tensor, 'buffer'> {
  const found = new Map<Tensor, 'buffer'>()
  const seen = new Set<Tensor>()
  const stack: Tensor[] = Object.values(graph.outputs)
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (seen.has(t)) continue
    seen.add(t)
    const { op, inputs } = t.node
    for (const [i, s] of inputs.entries()) if (op.buffers?.includes(nth(op.inputs, i))) found.set(s, 'buffer')
    stack.push(...inputs)
  }
  return found
}

/**
 * The first dim of all inputs, where it is one symbol: the batch. Sizes that the caller gives take the place of other
 * symbols.
 */
function bindingsOf(
  name: string,
  own: Tensors,
  inputs: PortSpecs | undefined,
): Readonly<Record<string, Dim>> {
  const bindings: Record<string, Dim> = {}
  for (const [key, t] of Object.entries(own)) {
    const spec = inputs?.[key]
    const [first, ...rest] = t.shape
    if (typeof first === 'string' && spec?.batch !== false) bindings[first] = 'batch'
    if (!spec) continue
    if ((spec.dtype ?? 'float32') !== t.dtype)
      throw new UserError(`${name}: input ${key} is ${t.dtype}, not ${spec.dtype ?? 'float32'}`)
    const sizes = spec.batch === false ? t.shape : rest
    if (sizes.length !== spec.shape.length)
      throw new UserError(
        `${name}: input ${key} is ${show(t.shape)}, which is not [batch,${spec.shape.join()}]`,
      )
    for (const [i, d] of sizes.entries()) {
      const wanted = nth(spec.shape, i)
      if (typeof d === 'string') bindings[d] = wanted
      else if (unify(d, wanted) === undefined)
        throw new UserError(
          `${name}: input ${key} is ${show(t.shape)}, which is not [batch,${spec.shape.join()}]`,
        )
    }
  }
  return bindings
}

/** As {@link importOnnx}; what is not supported is rarely alone in a file. */
function importHinted(info: FileInfo, name: string, options: ImportOptions): Imported {
  try {
    return importOnnx(info, name, options)
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error
    throw new UserError(`${error.message}; onnxgrad inspect FILE shows all that does not import`)
  }
}

/** The name in the file of each input that the caller names: a single input may be given another name. */
function namesOf(own: readonly string[], asked: readonly string[]): Readonly<Record<string, string>> {
  const [name, ...more] = own
  const [wanted, ...others] = asked
  if (name === undefined || wanted === undefined || more.length || others.length) return {}
  return { [name]: wanted }
}

/**
 * An `.onnx` file as a model like any other, initialized with the file's weights: it can be trained, be part of another model
 * (`model.layer({ output })`), be evaluated and exported. Float32 weights are parameters, under their names in the file; running
 * statistics are buffers; everything else is constant.
 * @param name the file's name in error messages
 * @throws UserError for an operator that onnxgrad does not have, a damaged file, or inputs that do not match
 */
export function loadOnnx<const I extends PortSpecs = PortSpecs>(
  bytes: Uint8Array,
  name: string,
  options: LoadOptions<I> = {},
): ModelOf<I, Readonly<Record<string, AnyTensor>>, object> {
  return loadInfo(readOnnx(bytes, name), name, options) as ModelOf<
    I,
    Readonly<Record<string, AnyTensor>>,
    object
  >
}

/** {@link loadOnnx} for a file that was read already. */
export function loadInfo(
  file: FileInfo,
  name: string,
  { inputs, freeBatch = false }: LoadOptions = {},
): Model {
  const info = inEvaluation(file)
  const declared = inputsOf(info, name, { freeBatch })
  const names = namesOf(Object.keys(declared), Object.keys(inputs ?? {}))
  const own = Object.fromEntries(Object.entries(declared).map(([key, t]) => [names[key] ?? key, t]))
  const unknown = Object.keys(inputs ?? {}).find(key => !own[key])
  if (unknown !== undefined)
    throw new UserError(`${name}: has no input ${unknown}; its inputs are ${Object.keys(own).join(', ')}`)
  // Sizes are bound before the nodes are read: what is computed of them is known then.
  const imported = importHinted(info, name, { freeBatch, names, dims: bindingsOf(name, own, inputs) })
  const graph = ownChannels(imported.graph)
  const { leaves, named } = parametersOf({ ...imported, graph }, statisticsOf(graph))
  const outputs = substitute(graph, leaves)
  const specs: PortSpecs = Object.fromEntries(
    Object.entries(graph.inputs).map(([key, t]) => {
      const batch = t.shape[0] === 'batch'
      return [key, { shape: batch ? t.shape.slice(1) : t.shape, dtype: t.dtype, ...(batch ? {} : { batch }) }]
    }),
  )
  const base = name.replace(/^.*[\\/]/, '').replace(/\.onnx$/i, '')
  const images = Object.keys(specs).filter(key => specs[key]?.shape.length === 3)
  return modelOf({
    name: base || 'model',
    config: {},
    inputs: specs,
    layers: Object.fromEntries(named),
    parameters: named,
    leaves: graph.inputs,
    outputs,
    // Files of onnxgrad say so when their graph normalizes the image.
    ...(info.normalization && images.length === 1
      ? { normalization: { [nth(images, 0)]: info.normalization } }
      : {}),
  })
}
