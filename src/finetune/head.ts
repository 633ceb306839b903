import { UserError } from '../graph/errors.ts'
import { nodesOf, type Rule } from '../graph/graph.ts'
import { filledWith, isParameter, type Parameter } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { lookup } from '../graph/present.ts'
import { withScope } from '../graph/scope.ts'
import { equalShape, product, show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { dropout } from '../ops/dropout.ts'
import { Reshape } from '../ops/primitives.ts'
import { staticNodes } from '../passes/match.ts'
import { outputOf } from '../tasks/outputs.ts'
import { edited, namesOf, restarted, startingAt } from './edit.ts'
import { type WeightUse, weightUseOf } from './weight-use.ts'

/** Options of `headOf` and `replaceHead`. */
export interface HeadOptions {
  /** The output that the head computes. @default `logits`, or the only float output */
  readonly output?: string | undefined
}

/** The last layers of a classifier: those whose outputs are the classes. */
export interface Head {
  /** The output that they compute. */
  readonly output: string
  /** Number of classes. */
  readonly classes: number
  /** Names of their weights and biases. */
  readonly parameters: readonly string[]
}

interface Found extends Head {
  readonly logits: Tensor
  /** The softmax or sigmoid at the end of the file, which makes probabilities of the logits. */
  readonly activation: Node | undefined
  readonly weights: readonly WeightUse[]
  readonly biases: readonly Parameter[]
}

/** Ops that give other shapes to what they read. */
const FORMS = new Set(['Reshape', 'Transpose', 'Cast'])

/** Ops that may come between a head and the logits: none of them has parameters, or mixes classes. */
const BETWEEN = new Set([
  ...FORMS,
  ...['Add', 'AveragePool', 'Dropout', 'GlobalAveragePool', 'Identity', 'ReduceMean', 'Relu'],
])

const ACTIVATIONS = new Set(['LogSoftmax', 'Sigmoid', 'Softmax'])

/** What makes probabilities of logits at the end of a model, whatever their shape. */
function activationBefore(t: Tensor): Node | undefined {
  let { node } = t
  while (FORMS.has(node.op.type) && node.inputs[0]) node = node.inputs[0].node
  return ACTIVATIONS.has(node.op.type) ? node : undefined
}

function findHead(model: Model, { output }: HeadOptions): Found {
  const { key, tensor: logits } = outputOf('replaceHead', model, 'logits', output)
  const classes = logits.shape.at(-1)
  const fail = (why: string): never => {
    throw new UserError(
      `${model.name}: its output ${key} ${show(logits.shape)} is not computed by a linear layer or convolution at the end: ${why}; take a part of it with model.layer({ output }), and add a head of your own`,
    )
  }
  if (typeof classes !== 'number' || classes < 1) return fail('its number of classes is not known')
  const names = namesOf(model)
  const fixed = staticNodes(nodesOf(model.graph))
  const activation = activationBefore(logits)
  const weights: WeightUse[] = []
  const biases: Parameter[] = []
  const seen = new Set<Node>()
  /** Whether a node only moves, averages or scales all classes alike. */
  const passes = (node: Node): boolean =>
    node === activation ||
    BETWEEN.has(node.op.type) ||
    (['Mul', 'Div'].includes(node.op.type) && node.inputs.some(t => filledWith(t) !== undefined))
  const visit = (t: Tensor): undefined => {
    const { node } = t
    if (seen.has(node)) return
    seen.add(node)
    const use = weightUseOf(node)
    if (use) {
      if (use.outputs === undefined || use.groups !== 1 || use.weight.shape[use.outputs] !== classes)
        return fail(`${names.get(use.weight)} is ${show(use.weight.shape)}`)
      weights.push(use)
      const bias = use.kind === 'conv' ? node.inputs[2] : undefined
      if (bias && isParameter(bias)) biases.push(bias)
      return
    }
    const computed = node.inputs.filter(input => !fixed.has(input.node))
    if (!computed.length) return fail('nothing before it has parameters')
    if (!passes(node)) return fail(`a ${node.op.type} comes after it`)
    for (const input of node.inputs)
      if (isParameter(input)) {
        if (input.shape.at(-1) !== classes) return fail(`${names.get(input)} is ${show(input.shape)}`)
        biases.push(input)
      }
    for (const input of computed) visit(input)
  }
  visit(logits)
  const parameters = [...new Set([...weights.map(w => w.weight), ...biases])].map(p => lookup(names, p))
  return { output: key, classes, parameters, logits, activation, weights, biases }
}

/**
 * The head of a classifier, found from its output: the linear layer, or the convolution before a pooling, whose outputs are the
 * classes.
 * @throws UserError when the output is computed in another way
 */
export function headOf(source: Model | TrainedModel, options: HeadOptions = {}): Head {
  const { output, classes, parameters } = findHead(startingAt(source), options)
  return { output, classes, parameters }
}

const quoted = (name: string): string => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** A pattern of the names of all parameters but these, such as a head's: for `freeze`, or a group of an optimizer. */
export const allBut = (names: readonly string[]): RegExp =>
  new RegExp(`^(?!(?:${names.map(quoted).join('|')})$)`)

/**
 * A classifier whose only output is `logits`, before a softmax that it ends with; its head is kept.
 * @throws UserError when the last layer cannot be found
 */
export function withLogits(source: Model | TrainedModel, options: HeadOptions = {}): Model {
  const model = startingAt(source)
  const { logits, activation } = findHead(model, options)
  return edited(model, {
    rule: (node, inputs) => (node === activation ? inputs.slice(0, 1) : undefined),
    outputs: () => ({ logits }),
  })
}

/**
 * A classifier whose head does not see a fraction of its inputs in a training step.
 * @throws UserError when the last layer cannot be found, or the rate is not at least 0 and below 1
 */
export function withHeadDropout(
  source: Model | TrainedModel,
  rate: number,
  options: HeadOptions = {},
): Model {
  const model = startingAt(source)
  const layers = new Set(findHead(model, options).weights.map(({ node }) => node))
  return edited(model, {
    rule: (node, [x, ...others]) =>
      x && layers.has(node)
        ? makeNode(
            node.op,
            [withScope('head.dropout', () => dropout(x as AnyTensor, rate)), ...others],
            node.attrs,
          ).outputs
        : undefined,
  })
}

/** A target shape that counted classes. */
const recount =
  (before: number, after: number): Rule =>
  (node, inputs) => {
    const shaped = match(node, Reshape, inputs)
    const was = node.inputs[0]?.shape
    if (!shaped || equalShape(shaped.inputs[0].shape, was ?? [])) return undefined
    const { shape } = shaped.attrs
    const size = product(shaped.inputs[0].shape)
    // One dim counts the classes; others may happen to be as large.
    const counted = shape
      .map((d, i) => (d === before ? shape.with(i, after) : shape))
      .find((own, i) => i > 0 && own !== shape && product(own) === size)
    return makeNode(node.op, inputs, { shape: counted ?? shape }).outputs
  }

/**
 * A classifier with a new head for other classes: the weight and bias of its last layer are initialized as PyTorch does it, under the
 * same names; everything before keeps its weights. A softmax or sigmoid at the end is left out, and the output is named `logits`.
 * @param classes number of classes
 * @returns a model with the output `logits`, `[batch, classes]`
 * @throws UserError when the last layer cannot be found
 * @example
 * const net = replaceHead(await load('mnist.onnx'), 5)
 * const run = await train(net, { data, freeze: /^(?!fc)/ })
 */
export function replaceHead(source: Model | TrainedModel, classes: number, options: HeadOptions = {}): Model {
  if (!Number.isInteger(classes) || classes < 1)
    throw new UserError(
      `replaceHead: the number of classes must be a whole number of at least 1, not ${classes}`,
    )
  const model = startingAt(source)
  const head = findHead(model, options)
  const made = new Map<Tensor, Parameter>()
  const heads = new Set(head.weights.map(({ node }) => node))
  const counted = recount(head.classes, classes)
  const fanIns = head.weights.map(({ weight, outputs = 0 }) => {
    const shape = (weight.shape as readonly number[]).map((d, i) => (i === outputs ? classes : d))
    const fanIn = shape.reduce((a, b) => a * b, 1) / classes
    made.set(weight, restarted(weight, { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) }, shape))
    return fanIn
  })
  for (const bias of head.biases) {
    const shape = (bias.shape as readonly number[]).map((d, i, all) => (i === all.length - 1 ? classes : d))
    const bound = 1 / Math.sqrt(Math.max(...fanIns))
    made.set(bias, restarted(bias, { kind: 'uniform', bound }, shape))
  }
  const parameters = new Map([...model.parameters].map(([name, p]) => [name, made.get(p) ?? p] as const))
  return edited(model, {
    parameters,
    config: 'classes' in model.config ? { ...model.config, classes } : model.config,
    replaced: made,
    rule: (node, inputs) => {
      if (node === head.activation) return inputs.slice(0, 1)
      // A bias that is a constant of the file counts the classes that it had.
      const constant = inputs[2] && !isParameter(inputs[2]) && heads.has(node)
      return constant ? makeNode(node.op, inputs.slice(0, 2), node.attrs).outputs : counted(node, inputs)
    },
    outputs: () => ({ logits: head.logits }),
  })
}
