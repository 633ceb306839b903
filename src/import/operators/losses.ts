import type { AnyTensor } from '../../graph/tensor.ts'
import { div, equal, mul, neg, where } from '../../ops/elementwise.ts'
import { gather, gatherElements } from '../../ops/gather.ts'
import { fill, squeeze, unsqueeze } from '../../ops/layout.ts'
import { logSoftmax } from '../../ops/norm.ts'
import { mean, sum } from '../../ops/reduce.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'

/**
 * −w[target] · log p[target], reduced as the node says; the mean is over the weights.
 * @param logs `[n, classes, ...]` of which `target` `[n, ...]` (input 1) picks, weighted per class by input 2
 */
function likelihood(n: NodeReader, logs: AnyTensor): AnyTensor {
  const [target, classWeights] = [n.data(1), n.optional(2)]
  const reduction = n.text('reduction', ['mean', 'sum', 'none'])
  const ignored = n.attribute('ignore_index', 'int')
  const left = ignored === undefined ? undefined : equal(target, ignored)
  // Any class stands for one that is ignored.
  const picked = left ? where(left, fill(0, target.dtype, []), target) : target
  const found = neg(squeeze(gatherElements(logs, unsqueeze(picked, 1), 1), 1))
  const own = classWeights && gather(classWeights, picked)
  const zero = fill(0, logs.dtype, [])
  const weights = left ? where(left, zero, own ?? fill(1, logs.dtype, [])) : own
  // Not a product with 0, which would keep what is infinite.
  const weighted = own ? mul(found, own) : found
  const losses = left ? where(left, zero, weighted) : weighted
  if (reduction === 'none') return losses
  if (reduction === 'sum') return sum(losses)
  return weights ? div(sum(losses), sum(weights)) : mean(losses)
}

export const LOSSES: Operators = {
  NegativeLogLikelihoodLoss: n => likelihood(n, n.data(0)),
  SoftmaxCrossEntropyLoss(n) {
    const logs = logSoftmax(n.data(0), 1)
    return [likelihood(n, logs), logs]
  },
}
