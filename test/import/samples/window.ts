import { f32 } from '../../../src/graph/sample.ts'
import { floats, held, ints, type NodeSample, type NodeSamples, nodeSample } from '../sample.ts'

const line = f32(2, 3, 10).distinct()
const image = f32(2, 3, 7, 8).distinct()
const volume = f32(1, 2, 5, 4, 6).distinct()

/** Windows of all kinds that pooling has. @param attrs of the operator itself */
const pools = (attrs: NodeSample['attrs'] = {}, outputs = 1): NodeSample[] =>
  [
    nodeSample([line], { kernel_shape: [3] }),
    nodeSample([line], { kernel_shape: [3], strides: [2], pads: [1, 0] }),
    nodeSample([line], { kernel_shape: [3], strides: [2], ceil_mode: 1 }),
    nodeSample([line], { kernel_shape: [3], strides: [2], pads: [1, 1], ceil_mode: 1 }),
    // A window that would begin in the padding at the end is left out.
    nodeSample([line], { kernel_shape: [2], strides: [3], pads: [1, 1], ceil_mode: 1 }),
    nodeSample([line], { kernel_shape: [3], dilations: [3], strides: [2], pads: [1, 2], ceil_mode: 1 }),
    nodeSample([f32(1, 2, 2).distinct()], { kernel_shape: [3], strides: [2], ceil_mode: 1 }),
    nodeSample([line], { kernel_shape: [4], strides: [3], auto_pad: 'SAME_UPPER' }),
    nodeSample([line], { kernel_shape: [2], auto_pad: 'SAME_LOWER' }),
    nodeSample([line], { kernel_shape: [1], strides: [3], auto_pad: 'SAME_UPPER' }),
    nodeSample([line], { kernel_shape: [3], strides: [2], auto_pad: 'SAME_UPPER', ceil_mode: 1 }),
    nodeSample([line], { kernel_shape: [3], strides: [2], auto_pad: 'VALID', ceil_mode: 1 }),
    nodeSample([image], { kernel_shape: [2, 3], strides: [2, 1], pads: [1, 0, 0, 2] }),
    nodeSample([image], { kernel_shape: [3, 2], strides: [2, 3], auto_pad: 'SAME_LOWER' }),
    nodeSample([image], { kernel_shape: [2, 2], dilations: [2, 3], ceil_mode: 1, strides: [3, 2] }),
    nodeSample([volume], { kernel_shape: [2, 3, 2], strides: [1, 2, 2], pads: [1, 0, 0, 0, 1, 1] }),
    nodeSample([volume], { kernel_shape: [2, 2, 4], strides: [2, 2, 3], ceil_mode: 1 }),
    nodeSample([volume], { kernel_shape: [2, 2, 2], dilations: [2, 1, 2], pads: [1, 1, 1, 0, 0, 0] }),
    nodeSample([volume], { kernel_shape: [3, 2, 2], strides: [2, 2, 2], auto_pad: 'SAME_UPPER' }),
  ].map(s => nodeSample(s.inputs, { ...s.attrs, ...attrs }, { outputs }))

const filters = f32(4, 3, 3, 2)

const fused = (activation: string, ...parameters: readonly number[]): NodeSample =>
  nodeSample([f32(1, 2, 5, 4), f32(3, 2, 2, 3), f32(3)], {
    activation,
    pads: [1, 0, 0, 1],
    ...(parameters.length ? { activation_params: floats(...parameters) } : {}),
  })

export const samples: NodeSamples = {
  Conv: [
    nodeSample([f32(2, 3, 7, 8), filters]),
    nodeSample([f32(2, 3, 7, 8), filters, f32(4)], {
      strides: [2, 3],
      pads: [1, 0, 2, 1],
      kernel_shape: [3, 2],
    }),
    nodeSample([f32(2, 3, 7, 8), filters], { strides: [2, 3], auto_pad: 'SAME_UPPER' }),
    nodeSample([f32(2, 3, 7, 8), filters], { strides: [2, 2], auto_pad: 'VALID' }),
    nodeSample([f32(2, 4, 9), f32(6, 2, 3), f32(6)], {
      group: 2,
      dilations: [2],
      strides: [2],
      pads: [3, 1],
    }),
    nodeSample([f32(1, 3, 10), f32(4, 3, 1)], { strides: [3], auto_pad: 'SAME_UPPER' }),
    nodeSample([f32(1, 2, 4, 5, 6), f32(3, 2, 2, 3, 2), f32(3)], {
      strides: [1, 2, 2],
      dilations: [2, 1, 1],
      pads: [1, 0, 0, 0, 2, 1],
    }),
    nodeSample([f32(1, 2, 4, 5, 6), f32(2, 1, 2, 3, 2)], {
      group: 2,
      strides: [2, 2, 1],
      auto_pad: 'SAME_LOWER',
    }),
    nodeSample([f32(1, 2, 3, 3, 2, 4), f32(2, 2, 2, 2, 1, 3)], {}),
  ],
  ConvTranspose: [
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 2)]),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 2), f32(2)], {
      strides: [2, 3],
      pads: [1, 0, 2, 1],
      output_padding: [1, 2],
      kernel_shape: [3, 2],
    }),
    nodeSample([f32(2, 4, 4, 3), f32(4, 2, 3, 2), f32(6)].with(2, f32(4)), { group: 2, dilations: [2, 3] }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 3)], { strides: [2, 2], auto_pad: 'SAME_UPPER' }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 4)], { strides: [2, 3], auto_pad: 'SAME_LOWER' }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 1, 2)], { strides: [3, 3], auto_pad: 'SAME_UPPER' }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 4)], { strides: [2, 3], auto_pad: 'VALID' }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 4)], { strides: [2, 3], output_shape: [8, 9] }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 3)], { strides: [3, 2], output_shape: [14, 8] }),
    nodeSample([f32(2, 3, 4, 3), f32(3, 2, 3, 4)], {
      strides: [2, 3],
      output_shape: [7, 9],
      auto_pad: 'SAME_UPPER',
    }),
    nodeSample([f32(2, 3, 5), f32(3, 1, 4), f32(3)], {
      group: 3,
      strides: [3],
      pads: [2, 1],
      output_padding: [2],
    }),
    nodeSample([f32(1, 2, 3, 2, 3), f32(2, 2, 2, 3, 2), f32(2)], {
      strides: [1, 2, 2],
      dilations: [2, 1, 1],
      pads: [1, 0, 0, 0, 1, 1],
    }),
  ],
  MaxPool: [
    ...pools(),
    ...pools({}, 2),
    nodeSample([image], { kernel_shape: [2, 2], storage_order: 1 }),
    nodeSample([f32(1, 1, 3, 4)], { kernel_shape: [2, 2] }, { opset: 8 }),
  ],
  AveragePool: [
    ...pools(),
    ...pools({ count_include_pad: 1 }),
    ...pools({ count_include_pad: 0 }),
    nodeSample([image], { kernel_shape: [2, 3], pads: [1, 1, 0, 1] }, { opset: 10 }),
  ],
  LpPool: [...pools(), ...pools({ p: 1 }), ...pools({ p: 3 })],
  GlobalAveragePool: [nodeSample([line]), nodeSample([image]), nodeSample([volume])],
  GlobalMaxPool: [nodeSample([line]), nodeSample([image]), nodeSample([volume])],
  // The runtime does not have those of later opsets.
  GlobalLpPool: [
    nodeSample([line], {}, { opset: 21 }),
    nodeSample([image], { p: 1 }, { opset: 21 }),
    nodeSample([volume], { p: 3 }, { opset: 21 }),
  ],
  MaxUnpool: [
    nodeSample([f32(1, 1, 2, 2), held('int64', [0, 3, 13, 10], [1, 1, 2, 2])], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    }),
    nodeSample([f32(1, 1, 2), held('int64', [1, 3], [1, 1, 2]), ints(1, 1, 4)], {
      kernel_shape: [2],
      strides: [2],
    }),
  ],
  'com.microsoft.FusedConv': [
    fused('Relu'),
    fused('Tanh'),
    fused('Sigmoid'),
    fused('LeakyRelu', 0.2),
    fused('Clip', -0.5, 1),
    fused('HardSigmoid', 0.3, 0.4),
    nodeSample([f32(1, 2, 6), f32(3, 2, 3), f32(3), f32(1, 3, 6)], {
      activation: 'Relu',
      auto_pad: 'SAME_UPPER',
    }),
    nodeSample([f32(1, 2, 6), f32(3, 2, 3), null, f32(1, 3, 4)], { activation: 'Tanh' }),
  ],
}
