import { afterAll, expect, test } from 'vitest'
import { mlp } from '../../models/index.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { guessingLine, isGuessing } from '../../src/runs/chance-node.ts'
import type { RunRecord } from '../../src/runs/record.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'

const runtime = await nodeRuntime('cpu')
afterAll(() => runtime.close())

test('a classifier guesses where it is right about as often as one in its classes', () => {
  expect(isGuessing({ loss: 2, accuracy: 0.098 }, 10)).toBe(true)
  expect(isGuessing({ loss: 2, accuracy: 0.2 }, 10)).toBe(false)
  expect(isGuessing({ loss: 2, accuracy: 0.2 }, 5)).toBe(true)
  // Of one class every answer is right, and of other tasks there is no accuracy.
  expect(isGuessing({ loss: 2, accuracy: 1 }, 1)).toBe(false)
  expect(isGuessing({ loss: 2 }, 10)).toBe(false)
})

test('what it predicts, and what to try, is one line', async () => {
  const model = mlp({ image: 2, channels: 1, hidden: [4], classes: 3 })
  const layout = layoutOf(model.parameters)
  const params = new Float32Array(layout.size)
  // Nothing but the bias of the last layer decides: always the second class.
  const bias = layout.slots.find(({ name, size }) => name.endsWith('bias') && size === 3)!
  params[bias.offset + 1] = 5
  const held = {
    name: 'held',
    size: 6,
    shape: [1, 2, 2],
    classes: ['cat', 'dog', 'owl'],
    images: Uint8Array.from({ length: 24 }, (_, i) => i * 10),
    labels: Uint8Array.from([0, 1, 2, 0, 1, 2]),
  } as const
  const trained = { model, params, classes: held.classes }
  const record = { optimizer: { name: 'sgd', lr: 0.3 }, warmup: 0, epochs: 5 } as unknown as RunRecord
  const label = (name: string) => `--${name}`
  const line = await guessingLine(trained, held, { loss: 1, accuracy: 1 / 3 }, runtime, record, { label })
  expect(line).toBe(
    'accuracy 33.3 % is at the level of guessing: it predicts dog for 100 % of the examples; try a lower learning rate (--lr 0.03, now 0.3), or a longer warm-up (--warmup 1, now 0)',
  )
})
