import { bool, f32, whole } from '../../../src/graph/sample.ts'
import { float, held, type NodeSample, type NodeSamples, nodeSample, type SampleOptions } from '../sample.ts'

const number = (value: number) => held('float32', [value], [])
const byte = (value: number) => held('uint8', [value], [])
const signed = (value: number) => held('int8', [value], [])
const zero32 = held('int32', [0], [])

/** Rounding is no function that differences can follow, and may fall to the other side of a tie. */
const rounded: SampleOptions = { gradient: false, tolerance: 0.01 }

/** Without VNNI instructions, x86 cuts sums of two products of uint8 and int8 to 16 bits. */
const small = (...shape: number[]) => whole('int8', 64, ...shape)

const x = f32(3, 4, 2)
const conv = [whole('uint8', 256, 2, 3, 6, 5), whole('uint8', 256, 4, 3, 3, 3)] as const
const scale = number(0.02)
const half = byte(128)
const images = [whole('uint8', 256, 1, 4, 3, 2), scale, half] as const

const quantizes: readonly NodeSample[] = [
  nodeSample([x, number(0.1), half], {}, rounded),
  nodeSample([x, f32(4).positive(), held('int8', [1, 2, 3, 4])], { axis: 1 }, rounded),
  nodeSample([x, number(0.02)], {}, rounded),
]
const dequantizes: readonly NodeSample[] = [
  nodeSample([whole('uint8', 256, 3, 4, 2), number(0.1), half]),
  nodeSample([whole('int8', 128, 3, 4, 2), f32(4).positive(), held('int8', [1, 2, 3, 4])], { axis: 1 }),
]

export const samples: NodeSamples = {
  QuantizeLinear: [
    ...quantizes,
    nodeSample([x, number(0.02)], { output_dtype: 3, saturate: 1 }, rounded),
    nodeSample([x, f32(3, 2, 2).positive()], { axis: 1, block_size: 2 }, rounded),
  ],
  DequantizeLinear: [
    ...dequantizes,
    nodeSample([held('int32', [100000, -3]), number(0.1), zero32]),
    nodeSample([held('int32', [100000, -3]), number(0.1)]),
    nodeSample([whole('int8', 128, 3, 4, 2), f32(3, 2, 2).positive(), whole('int8', 128, 3, 2, 2)], {
      axis: 1,
      block_size: 2,
    }),
  ],
  MatMulInteger: [
    nodeSample([whole('uint8', 256, 5, 7), whole('uint8', 256, 7, 3)]),
    nodeSample([whole('uint8', 256, 5, 7), small(7, 3), byte(120), held('int8', [1, 2, 3])]),
    nodeSample([whole('uint8', 256, 2, 5, 7), whole('uint8', 256, 7, 3), byte(120), byte(3)]),
  ],
  ConvInteger: [
    nodeSample([...conv, byte(120), byte(3)], { pads: [1, 0, 1, 0], strides: [2, 1], auto_pad: 'NOTSET' }),
    nodeSample(conv),
  ],
  QLinearConv: [
    nodeSample(
      [conv[0], scale, half, conv[1], scale, half, number(2), half],
      { pads: [1, 1, 1, 1] },
      rounded,
    ),
    nodeSample(
      [
        conv[0],
        scale,
        half,
        small(4, 3, 3, 3),
        held('float32', [0.01, 0.02, 0.03, 0.04]),
        held('int8', [0, 0, 0, 0]),
        number(2),
        half,
        held('int32', [100, -2000, 3, 0]),
      ],
      {},
      rounded,
    ),
  ],
  QLinearMatMul: [
    nodeSample(
      [whole('uint8', 256, 5, 7), scale, half, whole('uint8', 256, 7, 3), scale, half, number(0.2), half],
      {},
      rounded,
    ),
    nodeSample(
      [
        whole('uint8', 256, 5, 7),
        scale,
        half,
        small(7, 3),
        held('float32', [0.01, 0.02, 0.03]),
        held('int8', [0, 0, 0]),
        number(0.2),
        half,
      ],
      {},
      rounded,
    ),
  ],
  'com.microsoft.QuantizeLinear': quantizes.slice(0, 2),
  'com.microsoft.DequantizeLinear': dequantizes,
  'com.microsoft.QLinearAdd': [
    nodeSample(
      [
        whole('uint8', 256, 3, 4),
        scale,
        half,
        whole('uint8', 256, 4),
        number(0.03),
        byte(2),
        number(0.05),
        half,
      ],
      {},
      rounded,
    ),
  ],
  'com.microsoft.QLinearMul': [
    nodeSample(
      [
        whole('int8', 128, 3, 4),
        scale,
        signed(3),
        whole('int8', 128, 4),
        number(0.03),
        signed(2),
        number(0.1),
        signed(-5),
      ],
      {},
      rounded,
    ),
  ],
  'com.microsoft.QLinearSigmoid': [
    nodeSample([whole('uint8', 256, 3, 4), scale, half, number(0.004), byte(0)], {}, rounded),
  ],
  'com.microsoft.QLinearLeakyRelu': [
    nodeSample([whole('uint8', 256, 3, 4), scale, half, scale, half], { alpha: 0.2 }, rounded),
  ],
  'com.microsoft.QLinearSoftmax': [
    nodeSample(
      [whole('uint8', 256, 3, 4), scale, half, number(0.004), byte(0)],
      { axis: -1, opset: 13 },
      rounded,
    ),
  ],
  'com.microsoft.QLinearGlobalAveragePool': [nodeSample([...images, number(0.01), half], {}, rounded)],
  'com.microsoft.QLinearConcat': [
    nodeSample(
      [
        scale,
        half,
        whole('uint8', 256, 2, 3),
        number(0.03),
        byte(2),
        whole('uint8', 256, 2, 4),
        number(0.01),
        half,
      ],
      { axis: 1 },
      rounded,
    ),
  ],
  'com.microsoft.QLinearWhere': [
    nodeSample(
      [
        bool(3, 4),
        whole('uint8', 256, 3, 4),
        scale,
        half,
        whole('uint8', 256, 4),
        number(0.03),
        byte(2),
        scale,
        half,
      ],
      {},
      rounded,
    ),
  ],
  'com.microsoft.QGemm': [
    nodeSample(
      [
        whole('uint8', 256, 5, 7),
        scale,
        half,
        whole('uint8', 256, 7, 3),
        scale,
        half,
        null,
        number(0.2),
        half,
      ],
      {},
      rounded,
    ),
    nodeSample(
      [
        whole('uint8', 256, 5, 7),
        scale,
        half,
        whole('uint8', 256, 3, 7),
        scale,
        half,
        held('int32', [100, -2000, 3]),
      ],
      { transB: 1, alpha: float(0.5) },
      { ...rounded, tolerance: 1e-5 },
    ),
  ],
  'com.microsoft.DynamicQuantizeMatMul': [
    nodeSample([f32(5, 7), whole('uint8', 256, 7, 3), scale, half, f32(3)], {}, { gradient: false }),
    nodeSample([f32(5, 7), small(7, 3), held('float32', [0.01, 0.02, 0.03])], {}, { gradient: false }),
  ],
  'com.microsoft.MatMulIntegerToFloat': [
    nodeSample([
      whole('uint8', 256, 5, 7),
      whole('uint8', 256, 7, 3),
      scale,
      number(0.1),
      half,
      byte(3),
      f32(3),
    ]),
    nodeSample([whole('uint8', 256, 5, 7), small(7, 3), scale, held('float32', [0.01, 0.02, 0.03]), half]),
  ],
}
