import { UserError } from '../graph/errors.ts'
import type { Rule } from '../graph/graph.ts'
import { isParameter, type Parameter } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import { makeNode } from '../graph/node.ts'
import { withScope } from '../graph/scope.ts'
import { equalShape, product } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { edited, restarted, startingAt } from '../nn/edit.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { dropout } from '../ops/dropout.ts'
import { Reshape } from '../ops/primitives.ts'
import { findHead, type Head, type HeadOptions } from './find-head.ts'

export type { Head, HeadOptions }

/**
 * The head of a classifier, found from its output: the linear layer, or the convolution before a pooling, whose outputs are the
 * classes.
 * @throws UserError when the output is computed in another way
 */
export function headOf(source: Model | TrainedModel, options: HeadOptions = {}): Head {
  const { output, classes, parameters } = findHead(startingAt(source), options)
  return { output, classes, parameters }
}

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
