import { f32, i64, type SampleInput } from '../../../src/graph/sample.ts'
import { float, held, type NodeAttr, type NodeSample, type NodeSamples, nodeSample } from '../sample.ts'

const [length, batch, size, hidden] = [4, 3, 5, 2] as const

type Name = 'B' | 'sequence_lens' | 'initial_h' | 'initial_c' | 'P'
const NAMES: readonly Name[] = ['B', 'sequence_lens', 'initial_h', 'initial_c', 'P']

/** A node with the inputs that are named; the others are left out. */
function layer(
  gates: number,
  given: readonly Name[] = [],
  attrs: Readonly<Record<string, NodeAttr>> = {},
): NodeSample {
  const dirs = attrs.direction === 'bidirectional' ? 2 : 1
  const state = f32(dirs, batch, hidden)
  const optional: Readonly<Record<Name, SampleInput | ReturnType<typeof held>>> = {
    B: f32(dirs, 2 * gates * hidden),
    sequence_lens: held('int32', [2, 4, 1]),
    initial_h: state,
    initial_c: state,
    P: f32(dirs, 3 * hidden),
  }
  const inputs = NAMES.slice(0, Math.max(-1, ...given.map(name => NAMES.indexOf(name))) + 1)
  return nodeSample(
    [
      f32(length, batch, size),
      f32(dirs, gates * hidden, size),
      f32(dirs, gates * hidden, hidden),
      ...inputs.map(name => (given.includes(name) ? optional[name] : null)),
    ],
    { hidden_size: hidden, ...attrs },
    { outputs: gates === 4 ? 3 : 2 },
  )
}

const common = (gates: number): NodeSample[] => [
  layer(gates),
  layer(gates, ['B'], { direction: 'reverse' }),
  layer(gates, ['initial_h'], { direction: 'bidirectional' }),
  layer(gates, ['B', 'sequence_lens', 'initial_h'], { direction: 'bidirectional' }),
  layer(gates, ['sequence_lens'], { direction: 'reverse' }),
  layer(gates, ['B'], { clip: 0.5 }),
]

const activated = (gates: number, count: number): NodeSample[] =>
  [
    ['HardSigmoid', 'LeakyRelu', 'Relu'],
    ['Affine', 'ScaledTanh', 'HardSigmoid'],
    ['Elu', 'Softsign', 'Softplus'],
  ].map(names =>
    layer(gates, ['B'], {
      activations: names.slice(0, count),
      ...(names.includes('Affine')
        ? { activation_alpha: float(0.5, 0.75), activation_beta: float(0.25, 0.6) }
        : {}),
    }),
  )

const lengths = nodeSample(
  [f32(4, 3, 5), f32(1, 2, 5), f32(1, 2, 2), null, { ...i64(5, 3), dtype: 'int32' }],
  { hidden_size: 2 },
  { outputs: 2 },
)

export const samples: NodeSamples = {
  RNN: [
    ...common(1),
    lengths,
    ...['Relu', 'LeakyRelu', 'ThresholdedRelu', 'HardSigmoid', 'Elu', 'Softsign', 'Softplus'].map(name =>
      layer(1, ['B'], { activations: [name] }),
    ),
    layer(1, ['B'], {
      direction: 'bidirectional',
      activations: ['Affine', 'ScaledTanh'],
      activation_alpha: float(0.5, 0.75),
      activation_beta: float(0.25, 0.6),
    }),
  ],
  GRU: [
    ...common(3),
    ...activated(3, 2),
    layer(3, ['B', 'initial_h'], { linear_before_reset: 1 }),
    layer(3, ['initial_h'], { linear_before_reset: 1, direction: 'bidirectional' }),
  ],
  LSTM: [
    ...common(4),
    ...activated(4, 3),
    layer(4, ['B', 'sequence_lens', 'initial_h', 'initial_c', 'P'], { direction: 'bidirectional' }),
    layer(4, ['initial_c', 'P'], { clip: 0.5 }),
    layer(4, ['B', 'P'], { input_forget: 1 }),
  ],
}
