import { UserError } from '../graph/errors.ts'
import { nodesOf } from '../graph/graph.ts'
import { filledWith, isParameter, type Parameter } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import { lookup } from '../graph/present.ts'
import { show } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type Model, namesOf } from '../nn/model.ts'
import { type WeightUse, weightUseOf } from '../nn/weight-use.ts'
import { staticNodes } from '../passes/match.ts'
import { outputOf } from '../tasks/outputs.ts'

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

/** A head with what it is made of. */
export interface Found extends Head {
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

/** The head of a classifier. @throws UserError when the output is computed in another way */
export function findHead(model: Model, { output }: HeadOptions): Found {
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
