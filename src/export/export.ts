import { UserError } from '../graph/errors.ts'
import { type Graph, nodesOf, type Tensors } from '../graph/graph.ts'
import { lookup } from '../graph/present.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { layoutOf } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import { type TrainedModel, trainedOf, weightsOf } from '../nn/trained.ts'
import { softmax } from '../ops/norm.ts'
import { inOpset } from '../passes/opset.ts'
import { forServing } from '../passes/serving.ts'
import { VERSION } from '../version.ts'
import { lower } from './lower.ts'
import { leastRuntime } from './opsets.ts'
import { toTyped } from './tensor-data.ts'
import { tracePasses } from './trace.ts'

/** Options of `exportOnnx` and of `save` for `.onnx` files. */
export interface ExportOptions {
  /** 17 to 24. @default 17, which onnxruntime reads from 1.12 on */
  readonly opset?: number
  /**
   * Keep onnxruntime's own operators (`com.microsoft`), which only custom ops add to a model; false writes their `decompose`, for
   * other runtimes. @default true
   */
  readonly contrib?: boolean
  /** Add an output `probabilities`, the softmax of the output `logits`. @default false */
  readonly probabilities?: boolean
  /** Intermediates to add as outputs: a name, with `*` for any characters. @default none */
  readonly intermediates?: string
}

/** Keys of the metadata that a file carries; values are JSON but for the first two. */
export const METADATA = {
  version: 'onnxgrad.version',
  input: 'onnxgrad.input',
  model: 'onnxgrad.model',
  preprocessing: 'onnxgrad.preprocessing',
  normalization: 'onnxgrad.normalization',
  classes: 'onnxgrad.classes',
  training: 'onnxgrad.training',
  /** The first onnxruntime that runs the file. */
  runtime: 'onnxgrad.onnxruntime',
} as const

/** The requested intermediates. @throws UserError when the model has none of that name */
function chosen({ name, intermediates }: Model, pattern: string | undefined): Tensors {
  if (pattern === undefined) return {}
  const parts = pattern.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const own = Object.entries(intermediates).filter(([key]) => new RegExp(`^${parts.join('.*')}$`).test(key))
  if (!own.length)
    throw new UserError(
      `${name} has no ${pattern}${Object.keys(intermediates).length ? `; it has ${Object.keys(intermediates).join(', ')}` : '; it has no intermediates'}`,
    )
  return Object.fromEntries(own)
}

/**
 * The graph that is shipped: any batch size, preparation inside, nothing of the training in it, nothing computed beyond the
 * outputs.
 */
export function servingGraph(
  model: Model,
  { probabilities = false, intermediates }: ExportOptions = {},
): Graph {
  const logits: AnyTensor | undefined = model.outputs.logits
  if (probabilities && !logits)
    throw new UserError(
      `${model.name} has no output named logits to compute probabilities from; its outputs are ${Object.keys(model.outputs).join(', ')}`,
    )
  const outputs: Tensors = {
    ...model.outputs,
    ...chosen(model, intermediates),
    ...(probabilities && logits ? { probabilities: softmax(logits) } : {}),
  }
  return forServing({ ...model.graph, outputs }, { trace: tracePasses(`${model.name}-export`) })
}

const isQuantized = (graph: Graph): boolean =>
  nodesOf(graph).some(({ op }) => op.type === 'QuantizeLinear' || op.type === 'DequantizeLinear')

const typeText = (t: Tensor): string => `${t.dtype} ${show(t.shape)}`

/**
 * A model with its weights as the bytes of an `.onnx` file: inputs, outputs and symbolic dims keep their names; standard operators
 * only, no unused weights. Equal models give equal bytes. An untrained model is exported with its initial weights.
 * @throws UserError when options, opset and model do not match
 */
export function exportOnnx(source: TrainedModel | Model, options: ExportOptions = {}): Uint8Array {
  const trained = trainedOf(source)
  const { model, classes, preprocessing, training } = trained
  const { inputs, normalization } = model
  const { opset = 17, contrib = true } = options
  const graph = servingGraph(model, options)
  const count = (model.outputs.logits?.shape ?? []).at(-1)
  if (classes && typeof count === 'number' && classes.length !== count)
    throw new UserError(`export: ${classes.length} class names for ${count} classes`)
  const aboutOf = (name: string): string =>
    [
      typeText(lookup(graph.inputs, name)),
      inputs[name]?.about,
      normalization[name] && 'normalization is inside the graph',
    ]
      .filter(Boolean)
      .join('; ')
  const written = inOpset(graph, { opset, contrib, trace: tracePasses(`${model.name}-export`) })
  const json = (key: keyof typeof METADATA, value: unknown): [string, string][] =>
    value === undefined ? [] : [[METADATA[key], JSON.stringify(value)]]
  const names = Object.keys(inputs)
  // Files of one image input have had its normalization under the key alone.
  const norms = Object.values(normalization)
  const metadata = [
    [METADATA.version, VERSION],
    [METADATA.input, names.map(name => `${name}: ${aboutOf(name)}`).join('\n')],
    ...json('model', { name: model.name, config: model.config }),
    ...json('preprocessing', preprocessing),
    ...json('normalization', norms.length ? norms[0] : undefined),
    ...json('classes', classes),
    ...json('training', training),
    [METADATA.runtime, leastRuntime(opset, isQuantized(written))],
  ]
  const weights = weightsOf(trained)
  const sizes = layoutOf(model.parameters).size
  if (trained.params.length !== sizes)
    throw new UserError(
      `export: the model has ${sizes} parameters, but ${trained.params.length} values were given`,
    )
  return lower(written, {
    name: model.name,
    opset,
    producerVersion: VERSION,
    metadata: Object.fromEntries(metadata),
    docs: Object.fromEntries([
      ...names.map(name => [name, aboutOf(name)]),
      ...Object.entries(graph.outputs).map(([name, t]) => [name, typeText(t)]),
    ]),
    weights: name => {
      const values = lookup(weights, name)
      return toTyped(values, lookup(graph.parameters, name).dtype, values.length)
    },
  })
}
