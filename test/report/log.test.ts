import { expect, test } from 'vitest'
import { selection } from '../../src/report/head.ts'
import { readLog } from '../../src/report/log.ts'
import { type EpochResult, flatMetrics } from '../../src/train/progress.ts'

const lines = (...objects: readonly object[]) => objects.map(o => `${JSON.stringify(o)}\n`).join('')
const epoch = (n: number, more: object = {}) => ({ epoch: n, step: 10 * n, trainLoss: 1 / n, ...more })

test('epochs, steps and outcome are told apart, and only numbers are kept of them', () => {
  const log = readLog(
    lines(epoch(1), epoch(2, { valAccuracy: null }), { final: true, steps: 20, out: '/tmp', end: 'signal' }),
    lines({ step: 5, loss: 2 }),
  )
  expect(log.epochs).toEqual([epoch(1), epoch(2)])
  expect(log.steps).toEqual([{ step: 5, loss: 2 }])
  expect(log.final).toEqual({ steps: 20 })
  expect(log.end).toBe('signal')
})

test('what an epoch came to is one flat line', () => {
  const result: EpochResult = {
    ...{
      epoch: 1,
      step: 10,
      lr: 0.1,
      gradNorm: 2,
      examplesPerSecond: 3,
      dataWaitShare: 0,
      stepSeconds: 1,
      epochSeconds: 2,
      seconds: 4,
    },
    train: { loss: 1, accuracy: 0.5, top5: 0.9 },
    val: { loss: 1.5, accuracy: 0.25 },
  }
  const { train: _, val: __, ...rest } = result
  const measured = { trainLoss: 1, trainAccuracy: 0.5, trainTop5: 0.9, valLoss: 1.5, valAccuracy: 0.25 }
  expect(flatMetrics(result)).toEqual({ ...rest, ...measured })
  expect(readLog(lines(flatMetrics(result)), '').epochs).toEqual([{ ...rest, ...measured }])
})

test('a run of an older release says how many images it took a second', () => {
  const old = readLog(lines(epoch(1, { imagesPerSecond: 5 }), { final: true, imagesPerSecond: 6 }), '')
  expect(old.epochs).toEqual([epoch(1, { examplesPerSecond: 5 })])
  expect(old.final).toEqual({ examplesPerSecond: 6 })
})

test('a step that a resumed run took again counts once, as it was taken last', () => {
  const steps = lines({ step: 1, loss: 3 }, { step: 2, loss: 9 }, { step: 2, loss: 2 }, { step: 3, loss: 1 })
  expect(readLog('', steps).steps.map(s => s.loss)).toEqual([3, 2, 1])
  expect(readLog(lines(epoch(1), { final: true }, epoch(2)), '').final).toBeUndefined()
})

test('a line that is still being written is left out; a damaged one is an error that names it', () => {
  expect(readLog(`${lines(epoch(1))}{"epoch":2,"st`, '').epochs).toHaveLength(1)
  expect(() => readLog(`${lines(epoch(1))}{"epoch":2,"st\n`, '')).toThrow('metrics.jsonl: line 2')
  expect(() => readLog('', '7\n')).toThrow('steps.jsonl: line 1')
})

test('the report says whose weights they are and what the test set had to do with it', () => {
  const say = (metrics: string, config = {}) => selection(readLog(metrics, ''), { epochs: 3, ...config })
  const end = { final: true, epochs: 3 }
  expect(say(lines(epoch(3), end))).toBe(
    'The weights are those after the last of 3 epochs; nothing was chosen by the test set, which was only monitored after each epoch.',
  )
  const validated = lines(epoch(3, { valAccuracy: 0.9 }), { ...end, bestEpoch: 2 })
  expect(say(validated)).toBe(
    'The weights are those of epoch 2, the best by accuracy on examples held out of the training; the test set was used once, at the end.',
  )
  expect(say(validated, { ema: 0.99 })).toContain(
    'epoch 2, averaged over the steps (EMA, decay 0.99), the best',
  )
  expect(say(lines(epoch(2)))).toBe(
    'The run is not complete: 2 of 3 epochs are done. The weights are those after the last of these; nothing was chosen by the test set, which was only monitored after each epoch.',
  )
  expect(say(lines(epoch(2), { final: true, epochs: 2, end: 'signal' }))).toMatch(
    /^The training was stopped after 2 of 3 epochs\. /,
  )
  const impatient = lines(epoch(2, { valAccuracy: 0.9 }), {
    final: true,
    epochs: 2,
    bestEpoch: 1,
    end: 'patience',
  })
  expect(say(impatient, { metric: 'loss' })).toMatch(
    /no epoch improved .* after 2 of 3 epochs\..* epoch 1, the best by loss/,
  )
})
