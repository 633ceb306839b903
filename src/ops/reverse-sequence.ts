import { attr } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp } from '../graph/op.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import { axisOf, sameShape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'

type Axes = { readonly batch: number; readonly time: number }

const ReverseSequence = fileOp('ReverseSequence', {
  inputs: ['input', 'sequence_lens'],
  attrs: {
    batch: attr.int({ name: 'batch_axis', default: 1 }),
    time: attr.int({ name: 'time_axis', default: 0 }),
  },
  infer: ([x, lengths], { batch, time }) => {
    axisOf('reverseSequence', time, x.shape.length)
    const size = x.shape[axisOf('reverseSequence', batch, x.shape.length)]
    if (lengths.dtype !== 'int64' || !sameShape(lengths.shape, [size ?? 0]))
      throw new ShapeError(
        `reverseSequence: lengths ${lengths.dtype} ${show(lengths.shape)} must be int64 [${size}] for ${show(x.shape)}`,
      )
    return [x]
  },
  // It undoes itself: dx = dy reversed
  vjp: ({ x: [, lengths], dy, attrs }) => [reversed(dy, lengths, attrs), null],
  samples: [
    sample(f32(4, 3, 2), i64(5, 3), { batch: 1, time: 0 }),
    sample(f32(3, 4, 2), i64(5, 3), { batch: 0, time: 1 }),
  ],
})
const reversed = (x: AnyTensor, lengths: AnyTensor, axes: Axes): AnyTensor =>
  ReverseSequence.apply([x, lengths], axes)
