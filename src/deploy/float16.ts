import { isLeaf, nodesOf } from '../graph/graph.ts'
import { HALF_MAX } from '../graph/half.ts'
import { input } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import { lookup } from '../graph/present.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { type Model, modelOf, namesOf } from '../nn/model.ts'
import { remade } from '../nn/rewrite.ts'
import { type TrainedModel, weightsOf } from '../nn/trained.ts'
import { matchesAny, type NamePattern, pathsOf } from '../optim/patterns.ts'
import type { Runtime } from '../runtime/session.ts'
import { calibrationOf, type ExampleOptions } from './calibration.ts'
import { fold } from './fold.ts'
import { inHalf } from './half-graph.ts'
import { HALF_NORMAL } from './half-ops.ts'
import { planHalf } from './half-plan.ts'
import { largestValues, parametersRead, scalesBy, unfitWeights } from './half-ranges.ts'
import { inferenceModel } from './inference.ts'

/** Options of `toFloat16`. */
export interface Float16Options extends ExampleOptions {
  /** Layers that stay in float32: names of layers or of parameters, such as `'head'` (with all that it holds) or `/norm/`. @default none */
  readonly keep?: NamePattern | readonly NamePattern[]
  /** Dtype of the model's float inputs and outputs. @default 'float32' */
  readonly io?: 'float32' | 'float16'
  /**
   * Examples to run the float32 model on: layers whose values come near the limits of float16 stay in float32. Without them, only the
   * weights are checked.
   */
  readonly data?: ExampleOptions['data']
}

/** An operator that computes in float32 although it could in float16. */
export interface KeptFloat32 {
  /** Its layer and operator, such as `blocks.0.fc/MatMul`. */
  readonly name: string
  /**
   * `asked`: by `keep`; `weights`: of a range that float16 does not have; `overflow`, `underflow`: values too large or too small
   * appeared when the examples ran.
   */
  readonly reason: 'asked' | 'weights' | 'overflow' | 'underflow'
  /** The largest absolute value of the tensor in question; 0 where none is. */
  readonly largest: number
}

/** A model in half precision. */
export interface Float16Model extends TrainedModel {
  /** What stays in float32 beside the operators that always do. */
  readonly kept: readonly KeptFloat32[]
}

/** Examples may not have been the worst: what reaches a quarter of the largest number stays in float32. */
const MOST = HALF_MAX / 4

type Reasons = Map<Node, KeptFloat32>

/**
 * A trained model in half precision: weights are float16, so that a file is half as large; convolutions, matrix products and elementwise
 * operators compute in float16. Norms, softmax, sums, powers and exponentials compute in float32, as do layers whose weights do not fit,
 * or whose values did not when the examples of `data` were run. Integers stay as they are.
 * @param runtime computes the weights once @throws UserError when the examples do not fit the model
 */
export async function toFloat16(
  runtime: Runtime,
  trained: TrainedModel,
  options: Float16Options = {},
): Promise<Float16Model> {
  const { io = 'float32' } = options
  const base = await fold(runtime, inferenceModel(trained))
  const nodes = nodesOf({ ...base.model.graph, outputs: Object.fromEntries(entriesOf(base.model)) })
  const { half } = planHalf(nodes, undefined, io === 'float16')
  const reasons: Reasons = new Map([
    ...(await outOfRange(runtime, base, half, options)),
    ...heavy(base, half),
    ...asked(base, half, options.keep),
  ])
  const plan = planHalf(nodes, new Set(reasons.keys()), io === 'float16')
  const made = await fold(runtime, rewritten(base, plan, io))
  return { ...made, kept: nodes.flatMap(node => reasons.get(node) ?? []) }
}

/** Outputs and intermediates, under names that are theirs alone. */
const entriesOf = ({ outputs, intermediates }: Model): [string, Tensor][] =>
  [outputs, intermediates].flatMap((group, i) =>
    Object.entries(group).map(([name, t]): [string, Tensor] => [`${i}.${name}`, t]),
  )

/** What `keep` names: a layer, one that holds it, or a parameter that the node reads. */
function asked({ model }: TrainedModel, half: ReadonlySet<Node>, keep: Float16Options['keep']): Reasons {
  if (keep === undefined) return new Map()
  const names = namesOf(model)
  const found = [...half].filter(node =>
    [...pathsOf(node.scope), ...parametersRead(node).map(([p]) => lookup(names, p))].some(name =>
      matchesAny(keep, name),
    ),
  )
  return new Map(found.map(node => [node, kept(node, 'asked', 0)]))
}

/** Nodes with weights that half precision does not hold. */
function heavy(base: TrainedModel, half: ReadonlySet<Node>): Reasons {
  const weights = weightsOf(base)
  const names = namesOf(base.model)
  const found: Reasons = new Map()
  for (const node of half)
    for (const [p, i] of parametersRead(node)) {
      const unfit = unfitWeights(lookup(weights, lookup(names, p)), scalesBy(node, i))
      if (unfit) found.set(node, kept(node, 'weights', unfit.largest))
    }
  return found
}

/** Nodes that read or compute values, on the examples, that half precision does not hold. */
async function outOfRange(
  runtime: Runtime,
  base: TrainedModel,
  half: ReadonlySet<Node>,
  { data, examples }: Float16Options,
): Promise<Reasons> {
  if (data === undefined || !half.size) return new Map()
  const ofNode = (node: Node): Tensor[] =>
    [...node.inputs, ...node.outputs].filter(t => t.dtype === 'float32' && !isFixedLeaf(t))
  const tensors = [...new Set([...half].flatMap(ofNode))]
  const largest = await largestValues(runtime, base, tensors, await calibrationOf(base, data, examples))
  const found: Reasons = new Map()
  for (const node of half)
    for (const t of ofNode(node)) {
      const most = lookup(largest, t)
      if (most > MOST) found.set(node, kept(node, 'overflow', most))
      // The steps of subnormal numbers are of one size: they are coarse for a tensor only where its largest number is one.
      else if (most > 0 && most < HALF_NORMAL) found.set(node, kept(node, 'underflow', most))
    }
  return found
}

const isFixedLeaf = ({ node }: Tensor): boolean => isLeaf(node) && node.op.type !== 'Input'

const kept = (node: Node, reason: KeptFloat32['reason'], largest: number): KeptFloat32 => ({
  name: node.scope ? `${node.scope}/${node.op.type}` : node.op.type,
  reason,
  largest,
})

/** The model with the nodes of a plan in half precision. */
function rewritten(
  base: TrainedModel,
  plan: ReturnType<typeof planHalf>,
  io: 'float32' | 'float16',
): TrainedModel {
  const { name, inputs, layers, parameters, graph, normalization, outputs, intermediates } = base.model
  const ports = Object.entries(graph.inputs).filter(([, t]) => io === 'float16' && t.dtype === 'float32')
  const given = new Map(ports.map(([key, t]): [Tensor, AnyTensor] => [t, input(key, io, t.shape)]))
  const half = Object.fromEntries(ports.map(([key]) => [key, { ...lookup(inputs, key), dtype: io }]))
  const computed = remade({ outputs, intermediates, assigned: {} }, roots => inHalf(roots, plan, given, io))
  const leaves = Object.fromEntries(Object.entries(graph.inputs).map(([key, t]) => [key, given.get(t) ?? t]))
  return {
    ...base,
    model: modelOf({
      ...{ name, config: {}, inputs: { ...inputs, ...half }, layers, parameters, normalization, leaves },
      ...computed,
    }),
  }
}
