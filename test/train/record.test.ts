import { expect, test } from 'vitest'
import { readRecord } from '../../src/runs/record.ts'

const settings = {
  model: { name: 'mlp', config: {} },
  ...{ step: 7, epochs: 2, batch: 8, seed: 0, classes: ['a', 'b'] },
  optimizer: { name: 'sgd' },
  schedule: { name: 'constant' },
}
const read = (record: object) => readRecord({ run: JSON.stringify(record) }, 'last.safetensors')

test('a record of release 0.1.0 says what it said, in the words of today', () => {
  const tally = { images: 40, labels: 120, loss: 20, correct: 30, gradNorm: 5, updates: 5 }
  const best = { epoch: 1, step: 5, accuracy: 0.75, loss: 0.5 }
  expect(read({ ...settings, images: 100, tally, best })).toEqual({
    ...settings,
    examples: 100,
    best: { epoch: 1, step: 5, measured: { accuracy: 0.75, loss: 0.5 } },
    // The loss of an example was the mean over its labels, of which a text has several.
    sums: { examples: 40, sums: [60, 30], counts: [120, 120], gradNorm: 5, updates: 5 },
  })
  const own = read({ ...settings, images: 100, tally, best })
  expect(read(own)).toEqual(own)
})

test.each([
  ['no examples', {}],
  ['a best epoch without its loss', { examples: 100, best: { epoch: 1, step: 5, measured: {} } }],
  ['sums that are not numbers', { examples: 100, sums: { examples: 1, sums: ['x'], counts: [1] } }],
])('a record with %s is refused', (_, wrong) => {
  expect(() => read({ ...settings, ...wrong })).toThrow(
    'last.safetensors: its record of the run is incomplete: the file is damaged',
  )
})
