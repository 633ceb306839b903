import { UserError } from '../graph/errors.ts'
import { nodesOf } from '../graph/graph.ts'
import { isParameter, parameterAttrs } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import type { Node } from '../graph/node.ts'
import { lookup } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { allRoots, edited, startingAt } from '../nn/edit.ts'
import { type Model, namesOf } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import primitives, { runningStatistics } from '../ops/batch-norm.ts'
import { Mode, whenTraining } from '../ops/mode.ts'
import { batchNorm } from '../ops/norm.ts'
import { matchesAny, type NamePattern } from '../optim/patterns.ts'

const { BatchNormalization } = primitives

/** Options of `setBatchNorm`. */
export interface BatchNormOptions {
  /** Which ones: names of their scale parameters, such as `layer4.*`. @default all */
  readonly match?: NamePattern | readonly NamePattern[] | undefined
  /** Weight of a batch's statistics in the new running ones, as in PyTorch. @default the file's, else 0.1 */
  readonly momentum?: number | undefined
}

const isBuffer = (t: Tensor): boolean => isParameter(t) && parameterAttrs(t).buffer

/** The batch norms of a model that keep running statistics. */
function normsOf(model: Model): Node[] {
  return nodesOf({ ...model.graph, outputs: allRoots(model) }).filter(node => {
    const norm = match(node, BatchNormalization)
    return norm && isBuffer(norm.inputs[3]) && isBuffer(norm.inputs[4])
  })
}

/** Whether a model has batch norms that keep running statistics. */
export const hasBatchNorm = (model: Model): boolean => normsOf(model).length > 0

/**
 * Sets whether training steps use the statistics of their batch in batch norms and update the running ones (`training`), or use the
 * running statistics, as prediction does, and leave them as they are (`evaluation`, PyTorch's `.eval()`). Batch norms of a file are
 * in evaluation mode, those of `batchNorm2d` in training mode.
 * @returns a model with the same parameters
 * @throws UserError when the model has no batch norm with running statistics, or none matches
 */
export function setBatchNorm(
  source: Model | TrainedModel,
  mode: 'training' | 'evaluation',
  { match: pattern, momentum }: BatchNormOptions = {},
): Model {
  const model = startingAt(source)
  if (momentum !== undefined && !(momentum > 0 && momentum <= 1))
    throw new UserError(`setBatchNorm: momentum must be above 0 and at most 1, not ${momentum}`)
  const names = namesOf(model)
  const norms = normsOf(model)
  if (!norms.length)
    throw new UserError(
      `setBatchNorm: ${model.name} has no batch norm with running statistics; PyTorch merges them into convolutions when it exports a model in evaluation mode: export it with training=torch.onnx.TrainingMode.PRESERVE and do_constant_folding=False`,
    )
  const nameOf = (node: Node): string => node.inputs.flatMap(t => names.get(t) ?? [])[0] ?? ''
  const chosen = norms.filter(node => pattern === undefined || matchesAny(pattern, nameOf(node)))
  if (!chosen.length)
    throw new UserError(
      `setBatchNorm: no batch norm matches ${[pattern].flat().join(', ')}; their names are like ${norms.slice(0, 3).map(nameOf).join(', ')}`,
    )
  return mode === 'evaluation' ? evaluated(model, new Set(chosen)) : trained(model, new Set(chosen), momentum)
}

/** The node that a {@link Mode} takes outside of training steps. */
const otherwise = (node: Node): Node | undefined => match(node, Mode)?.inputs[1].node

function evaluated(model: Model, chosen: ReadonlySet<Node>): Model {
  const names = namesOf(model)
  const kept = new Set([...chosen].flatMap(node => node.inputs.slice(3).map(t => names.get(t))))
  return edited(model, {
    rule: (node, inputs) => {
      const own = otherwise(node)
      return own && chosen.has(own) ? inputs.slice(1) : undefined
    },
    assigned: all => Object.fromEntries(Object.entries(all).filter(([name]) => !kept.has(name))),
  })
}

function trained(model: Model, chosen: ReadonlySet<Node>, momentum: number | undefined): Model {
  const names = namesOf(model)
  const nodes = nodesOf({ ...model.graph, outputs: allRoots(model) })
  const done = new Set(nodes.flatMap(node => otherwise(node) ?? []))
  const next = new Map<string, Tensor>()
  return edited(model, {
    rule: (node, inputs) => {
      const norm = chosen.has(node) && !done.has(node) && match(node, BatchNormalization, inputs)
      if (!norm) return undefined
      const [x, weight, bias, mean, variance] = norm.inputs
      const { epsilon, momentum: kept } = norm.attrs
      // A batch norm that is used twice is updated twice.
      const [mu, v] = [mean, variance].map(t => next.get(lookup(names, t)) ?? t)
      const own = runningStatistics(x, mu ?? mean, v ?? variance, momentum ?? 1 - kept)
      next.set(lookup(names, mean), own.mean)
      next.set(lookup(names, variance), own.variance)
      return [
        whenTraining(batchNorm(x, weight, bias, epsilon), BatchNormalization.apply(norm.inputs, norm.attrs)),
      ]
    },
    // The rule has been applied by then.
    assigned: all => ({ ...all, ...Object.fromEntries(next) }),
  })
}
