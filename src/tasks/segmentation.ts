import { ShapeError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, cast, equal, mul, sub, where } from '../ops/elementwise.ts'
import { argmax } from '../ops/gather.ts'
import { transpose } from '../ops/layout.ts'
import { average, ratio } from './average.ts'
import { crossEntropy } from './losses.ts'
import { outputOf } from './outputs.ts'
import { defineTask, specification, type Task } from './task.ts'

/** Options of `segmentation`. */
export interface SegmentationOptions {
  /** The output with the logits `[batch, classes, height, width]`. @default `logits`, or the only float output */
  readonly output?: string
  /** Label of pixels to ignore, such as 255. @default none */
  readonly ignoreIndex?: number
  /** Weight of each class in the loss. @default all 1 */
  readonly classWeights?: readonly number[]
}

const float = (condition: AnyTensor): AnyTensor => cast(condition, 'float32')

/**
 * A class per pixel: cross-entropy on int32 `label` `[batch, height, width]`. Metrics: `accuracy` over the pixels that are
 * not ignored, and `iou`, intersection over union on the whole data set, averaged over the classes.
 */
export function segmentation({
  output,
  ignoreIndex,
  classWeights,
}: SegmentationOptions = {}): Task<'accuracy' | 'iou'> {
  return defineTask('segmentation', model => {
    const { key, tensor, of } = outputOf('segmentation', model, 'logits', output)
    const [, classes, ...places] = tensor.shape
    if (tensor.shape.length < 3 || typeof classes !== 'number')
      throw new ShapeError(
        `segmentation: output ${key} is ${show(tensor.shape)}; it must be [batch, classes, height, width]`,
      )
    const axes = [...tensor.shape.keys()]
    const last = (logits: AnyTensor): AnyTensor => transpose(logits, [0, ...axes.slice(2), 1])
    /** 1 where a pixel counts. */
    const counting = (label: AnyTensor): AnyTensor | undefined =>
      ignoreIndex === undefined
        ? undefined
        : sub(constant(1, 'float32', []), float(equal(label, ignoreIndex)))
    const counted = (label: AnyTensor): AnyTensor =>
      ignoreIndex === undefined ? label : where(equal(label, ignoreIndex), constant(0, 'int32', []), label)
    return specification({
      targets: {
        label: {
          shape: places,
          dtype: 'int32',
          below: classes,
          ...(ignoreIndex === undefined ? {} : { ignore: ignoreIndex }),
        },
      },
      loss: ({ out, target }) =>
        crossEntropy(last(of(out)), target.label, {
          ...(ignoreIndex === undefined ? {} : { ignoreIndex }),
          ...(classWeights ? { classWeights } : {}),
        }),
      metrics: {
        accuracy: ({ out, target: { label } }) => {
          const right = float(equal(argmax(last(of(out)), -1), cast(label, 'int64')))
          return average(right, counting(label))
        },
        iou: ({ out, target: { label } }) => {
          const guess: AnyTensor = argmax(last(of(out)), -1)
          const weight = counting(label)
          const only = (t: AnyTensor): AnyTensor => (weight ? mul(t, weight) : t)
          const each = Array.from({ length: classes }, (_, c): AnyTensor => {
            const yes = only(float(equal(guess, c)))
            const present = only(float(equal(counted(label), c)))
            const both = mul(yes, present)
            return ratio(both, sub(add(yes, present), both))
          })
          return mul(
            each.reduce((a, b) => add(a, b)),
            1 / classes,
          )
        },
      },
    })
  })
}
