import { UserError } from '../graph/errors.ts'
import { type Graph, rewrite } from '../graph/graph.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { softmax } from '../ops/norm.ts'
import { lower } from './lower.ts'
import type { TypedArray } from './tensor-data.ts'

export interface ExportOptions {
  /** @default 17 */
  readonly opset?: number
  /** Also output `probabilities`, the softmax of the logits. @default false */
  readonly probabilities?: boolean
  /** Class names, by index. */
  readonly classes?: readonly string[]
  /** Architecture and configuration, so that the model can be built again from the file. */
  readonly model?: { readonly name: string; readonly config: object }
  /** How pictures become the input, such as `{ kind: 'resize' }`. */
  readonly preprocessing?: { readonly kind: string }
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** What the training came to, such as `{ testAccuracy: 0.97, epochs: 5 }`. */
  readonly training?: Readonly<Record<string, unknown>>
  readonly version: string
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
} as const

/**
 * A forward graph with its weights as an `.onnx` file: one input, output `logits` and what else the graph puts out,
 * standard operators only, no weight that is not used. Equal inputs give equal bytes.
 * @param graph from `image` (or `tokens`) to `logits`, dropout removed @param weights value of each parameter, by name
 */
export function exportOnnx(
  graph: Graph,
  weights: ReadonlyMap<string, TypedArray>,
  options: ExportOptions,
): Uint8Array {
  const logits = graph.outputs.logits as AnyTensor | undefined
  const [example, ...more] = Object.entries(graph.inputs)
  if (!logits || !example || more.length)
    throw new UserError('export: the graph needs one input and an output `logits`')
  const [inputName, input] = example
  const classes = logits.shape.at(-1)
  if (options.classes && options.classes.length !== classes)
    throw new UserError(`export: ${options.classes.length} class names for ${classes} classes`)
  const outputs: Record<string, AnyTensor> = options.probabilities
    ? { ...graph.outputs, probabilities: softmax(logits) }
    : { ...graph.outputs }
  const show = (t: Tensor) => `${t.dtype} [${t.shape.join(', ')}]`
  const about = `${show(input)}${inputName === 'image' ? ', pixels in [0, 1]; normalization is inside the graph' : ', an id for each token'}`
  const json = (value: unknown) => (value === undefined ? [] : [JSON.stringify(value)])
  const entries = [
    [METADATA.version, options.version],
    [METADATA.input, about],
    ...json(options.model).map(v => [METADATA.model, v]),
    ...json(options.preprocessing).map(v => [METADATA.preprocessing, v]),
    ...json(options.normalization).map(v => [METADATA.normalization, v]),
    ...json(options.classes).map(v => [METADATA.classes, v]),
    ...json(options.training).map(v => [METADATA.training, v]),
  ]
  const opset = options.opset ?? 17
  // What came after the opset is written in older operators, in a form that runtimes know.
  const written = rewrite({ ...graph, outputs }, ({ op, attrs }, inputs) =>
    (op.since ?? 0) > opset ? op.decompose?.(inputs, attrs) : undefined,
  )
  return lower(written, {
    name: options.model?.name ?? 'model',
    opset,
    producerVersion: options.version,
    metadata: Object.fromEntries(entries),
    docs: { [inputName]: about, logits: `${show(logits)}, one score for each class` },
    weights(name) {
      const data = weights.get(name)
      if (!data) throw new UserError(`export: no value for parameter ${name}`)
      return data
    },
  })
}
