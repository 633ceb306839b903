import { f32 } from '../../../src/graph/sample.ts'
import { float, held, ints, type NodeSamples, nodeSample } from '../sample.ts'

const x = f32(2, 3, 5, 6)
const scales = (...values: number[]) => held('float32', values)
const none = held('float32', [])
const sizes = ints(2, 3, 7, 4)
const larger = ints(2, 3, 10, 15)

export const samples: NodeSamples = {
  Resize: [
    nodeSample([x, null, scales(1, 1, 2, 3)]),
    nodeSample([x, null, scales(1, 1, 0.6, 1.7)]),
    nodeSample([x, none, none, sizes], {}, { opset: 11 }),
    nodeSample([x, null, null, larger], {
      nearest_mode: 'floor',
      coordinate_transformation_mode: 'asymmetric',
    }),
    nodeSample([x, null, null, sizes], {
      nearest_mode: 'ceil',
      coordinate_transformation_mode: 'align_corners',
    }),
    nodeSample([x, null, null, sizes], { nearest_mode: 'round_prefer_ceil' }),
    nodeSample(
      [x, none, none, sizes],
      { coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
      { opset: 11 },
    ),
    nodeSample([x, null, null, sizes], { mode: 'linear' }),
    nodeSample([x, null, null, ints(2, 3, 1, 9)], {
      mode: 'linear',
      coordinate_transformation_mode: 'pytorch_half_pixel',
    }),
    nodeSample([x, null, null, ints(2, 3, 1, 9)], {
      mode: 'linear',
      coordinate_transformation_mode: 'align_corners',
    }),
    nodeSample([x, null, scales(1, 1, 0.7, 1.3)], {
      mode: 'linear',
      coordinate_transformation_mode: 'half_pixel_symmetric',
    }),
    nodeSample([f32(1, 2, 3, 4, 4), null, scales(1, 1, 2, 1.5, 0.5)], { mode: 'linear' }),
    nodeSample([f32(4, 5), null, scales(1.5, 0.5)], { mode: 'linear' }),
    nodeSample([x, null, scales(1, 1, 1.4, 0.6)], { mode: 'cubic' }),
    nodeSample([x, null, null, sizes], {
      mode: 'cubic',
      cubic_coeff_a: -0.5,
      exclude_outside: 1,
      coordinate_transformation_mode: 'asymmetric',
    }),
    nodeSample([x, null, scales(1, 1, 0.4, 0.6)], { mode: 'linear', antialias: 1 }),
    nodeSample([x, null, scales(1, 1, 0.4, 0.6)], { mode: 'cubic', antialias: 1 }),
    nodeSample([x, null, null, ints(3, 9)], {
      mode: 'cubic',
      antialias: 1,
      exclude_outside: 1,
      axes: [2, 3],
    }),
    nodeSample([x, null, null, ints(9, 3)], { axes: [-1, 2] }),
    nodeSample([x, null, scales(2, 0.5)], { axes: [3, 2], mode: 'linear' }),
    nodeSample([x, null, null, ints(7, 7)], { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' }),
    nodeSample([x, null, null, ints(7, 7)], {
      axes: [2, 3],
      mode: 'linear',
      keep_aspect_ratio_policy: 'not_smaller',
    }),
    nodeSample([x, held('float32', [0, 0, 0.2, -0.25, 1, 1, 0.75, 1.25]), null, sizes], {
      mode: 'linear',
      coordinate_transformation_mode: 'tf_crop_and_resize',
      extrapolation_value: float(2),
    }),
    nodeSample([x, scales(1, 1, 1.5, 2)], { mode: 'linear' }, { opset: 10 }),
    nodeSample([x, scales(1, 1, 0.6, 2)], {}, { opset: 10 }),
  ],
  Upsample: [
    nodeSample([x, scales(1, 1, 2, 3)], {}, { opset: 9 }),
    nodeSample([x, scales(1, 1, 1.5, 2)], { mode: 'linear' }, { opset: 9 }),
    nodeSample([x], { scales: float(1, 1, 2, 2), mode: 'nearest' }, { opset: 7 }),
  ],
}
