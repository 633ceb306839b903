import { mlp } from '../../models/index.ts'
import { writeSafetensors } from '../../src/export/safetensors.ts'
import { initialize, layoutOf } from '../../src/nn/layout.ts'
import { stateCheckpoint } from '../../src/train/checkpoint.ts'
import { ONLY, wholeLayout } from '../../src/train/step/state.ts'

/** The model whose checkpoint is in the corpus. */
export const CHECKPOINT_MODEL = { image: 2, channels: 1, hidden: [2], classes: 2 }

/** What a checkpoint says of its run. */
export const CHECKPOINT_RECORD = {
  model: { name: 'mlp', config: CHECKPOINT_MODEL },
  step: 3,
  epochs: 2,
  batch: 4,
  seed: 0,
  optimizer: { name: 'adamw', lr: 0.001, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
  schedule: { name: 'cosine', warmupSteps: 2, floor: 0 },
  labelSmoothing: 0.1,
  clipNorm: 1,
  normalization: { mean: [0.1307], std: [0.3081] },
  classes: ['0', '1'],
  examples: 8,
}

function file(header: string, body = 0, length = Buffer.byteLength(header)): Uint8Array {
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(length))
  return Buffer.concat([size, Buffer.from(header), Buffer.alloc(body)])
}

const entry = (name: string, shape: unknown, start: number, end: number): string =>
  `"${name}":${JSON.stringify({ dtype: 'F32', shape, data_offsets: [start, end] })}`

function checkpoint(): Uint8Array {
  const layout = wholeLayout(layoutOf(mlp(CHECKPOINT_MODEL).parameters))
  const params = initialize(layout.all, 0)
  const vectors = { params, m: params.map(v => v / 2), v: params.map(v => v * v) }
  return stateCheckpoint(
    layout,
    { steps: { [ONLY]: CHECKPOINT_RECORD.step }, vectors },
    {
      run: JSON.stringify(CHECKPOINT_RECORD),
      training: JSON.stringify({ testAccuracy: 0.5 }),
    },
  )
}

export const hostileSafetensors = (): Record<string, Uint8Array> => ({
  'good-checkpoint': checkpoint(),
  'good-types': writeSafetensors(
    {
      half: { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) },
      double: { dtype: 'float64', shape: [], data: Float64Array.of(Math.PI) },
      long: { dtype: 'int64', shape: [1], data: BigInt64Array.of(-5n) },
      flags: { dtype: 'bool', shape: [1, 2], data: Uint8Array.of(1, 0) },
      empty: { dtype: 'float32', shape: [0, 4], data: new Float32Array(0) },
    },
    { epoch: '3' },
  ),
  'good-nothing': file('{}'),
  'header-past-the-end': file('{}', 0, 1e9),
  'header-of-2-to-the-63': file('{}', 0, 2 ** 63),
  'header-of-brackets': file('['.repeat(12_000)),
  'header-of-objects': file('{"a":'.repeat(3000)),
  'header-of-half-a-character': Buffer.concat([file('', 0, 1), Uint8Array.of(0xc3)]),
  'name-proto': file(`{${entry('__proto__', [1], 0, 4)}}`, 4),
  'name-constructor': file(`{${entry('constructor', [1], 0, 4)}}`, 4),
  'name-twice': file(`{${entry('a', [1], 0, 4)},${entry('a', [1], 4, 8)}}`, 8),
  'name-control-characters': file(`{${entry('\\u001b[31m\\n', [2], 0, 4)}}`, 4),
  'metadata-proto': file('{"__metadata__":{"__proto__":"x"}}'),
  'metadata-nested': file('{"__metadata__":{"a":{"b":"c"}}}'),
  'shape-of-5000-dims': file(`{${entry('a', new Array(5000).fill(1), 0, 8)}}`, 8),
  'shape-not-whole': file(`{${entry('a', [0.5, 2], 0, 4)}}`, 4),
  'shape-overflows': file(`{${entry('a', [2 ** 52, 2 ** 52, 0], 0, 4)}}`, 4),
  'offsets-overlap': file(`{${entry('a', [2], 0, 8)},${entry('b', [2], 4, 12)}}`, 12),
  'offsets-backwards': file(`{${entry('a', [1], 4, 0)}}`, 4),
  'offsets-huge': file(`{${entry('a', [2 ** 50], 0, 2 ** 52)}}`, 4),
  'tensors-200': file(`{${Array.from({ length: 200 }, (_, i) => entry(`${i}`, [0], 0, 0)).join()}}`),
})
