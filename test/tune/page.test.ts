import { parseHTML } from 'linkedom'
import { expect, test } from 'vitest'
import { tunePage } from '../../src/runs/search/page-node.ts'
import type { TuneRecord } from '../../src/runs/search/record.ts'
import type { TuneState } from '../../src/runs/search/result.ts'
import type { RunStanding as Run } from '../../src/runs/standing.ts'
import type { Values } from '../../src/settings/setting.ts'

const record = (space: TuneRecord['space'], more: Partial<TuneRecord> = {}): TuneRecord => ({
  model: 'vit',
  strategy: 'halving',
  trials: 3,
  epochs: 3,
  eta: 3,
  minEpochs: 1,
  seed: 0,
  space,
  settings: {},
  ...more,
})

const trial = (accuracies: readonly number[], more: Partial<Run> = {}): Run => ({
  epochs: accuracies.map(accuracy => ({ accuracy, loss: 1 - accuracy })),
  ended: false,
  failed: false,
  seconds: accuracies.length,
  ...more,
})

const state = (space: TuneRecord['space'], draws: readonly Values[], trials: readonly Run[]): TuneState => ({
  record: record(space),
  search: { rungs: [1, 3], eta: 3, metric: 'accuracy' },
  draws,
  trials,
})

const dom = (html: string) => parseHTML(html).document

const whole = state(
  { lr: { log: [1e-4, 1e-2] }, dim: [16, 32] },
  [
    { lr: 0.001, dim: 16 },
    { lr: 0.002, dim: 32 },
    { lr: 0.003, dim: 16 },
  ],
  [
    trial([0.3]),
    trial([0.5, 0.6, 0.7], { ended: true, final: { testAccuracy: 0.65, testLoss: 1, trainAccuracy: 1 } }),
    trial([], { failed: true, failure: 'too wide' }),
  ],
)

test('the page shows every trial with its settings, its curve and its place in each setting', () => {
  const page = dom(tunePage(whole, 'digits', 'npx onnxgrad train vit --lr 0.002'))
  const rows = [...page.querySelectorAll('#trials tbody tr')].map(row =>
    [...row.querySelectorAll('th, td')].map(cell => cell.textContent),
  )
  expect(rows).toEqual([
    ['1', '0.002', '32', '3', '70.00\u00a0%', '0.3000', '3.0 s', 'winner'],
    ['0', '0.001', '16', '1', '30.00\u00a0%', '0.7000', '1.0 s', 'dropped'],
    ['2', '0.003', '16', '0', '–', '–', '–', 'failed: too wide'],
  ])
  const titles = (id: string) =>
    [...page.querySelectorAll(`#${id} title`)].map(t => t.textContent.replaceAll('\u00a0', ' ')).sort()
  expect(titles('epochs')).toEqual([
    'trial 0, epoch 1: 30.00 %',
    'trial 1, epoch 1: 50.00 %',
    'trial 1, epoch 2: 60.00 %',
    'trial 1, epoch 3: 70.00 %',
  ])
  expect(titles('influence')).toEqual([
    'trial 0, dim 16: 30.00 % in 1 epoch, 30.00 % in 1',
    'trial 0, lr 0.001: 30.00 % in 1 epoch, 30.00 % in 1',
    'trial 1, dim 32: 70.00 % in 3 epochs, 50.00 % in 1',
    'trial 1, lr 0.002: 70.00 % in 3 epochs, 50.00 % in 1',
  ])
  expect(page.querySelector('.score')!.textContent).toContain('70.00\u00a0%')
  expect(page.querySelector('#winner p:last-child')!.textContent).toBe('npx onnxgrad train vit --lr 0.002')
})

test('the test figure is of the winner only, and there is none before there is a winner', () => {
  expect(dom(tunePage(whole, 'digits', 'x')).body.textContent.match(/test accuracy [\d.]+/g)).toEqual([
    'test accuracy 65.00',
  ])
  const open = { ...whole, trials: [trial([0.3]), trial([]), trial([0.1])] }
  const page = dom(tunePage(open, 'digits', undefined)).body.textContent
  expect(page).toContain('The search is not complete')
  expect(page).not.toContain('test accuracy')
})

test('a page of a search of which nothing was trained says so', () => {
  const failed = trial([], { failed: true, failure: 'no' })
  const page = dom(tunePage({ ...whole, trials: [failed, failed, failed] }, 'digits', undefined))
  expect(page.querySelector('.score')!.textContent).toContain('All trials failed')
  expect(page.querySelector('svg')).toBeNull()
})

test('no name, value or message becomes markup', () => {
  const bad = `"><script>alert(1)</script><img src=x onerror='x'>&amp;`
  const name = `${bad}lr`
  const hostile = state(
    { [name]: [bad, 'b'], lr: { log: [1e-4, 1e-2] } },
    [
      { [name]: bad, lr: 0.001 },
      { [name]: 'b', lr: 0.002 },
      { [name]: bad, lr: 0.003 },
    ],
    [whole.trials[0]!, whole.trials[1]!, trial([], { failed: true, failure: bad })],
  )
  const about = { ...hostile, record: { ...hostile.record, model: bad, flags: { data: bad } } }
  const page = dom(tunePage(about, bad, bad))
  expect(page.querySelectorAll('script, img, [onerror]')).toHaveLength(0)
  expect(page.querySelector('#influence svg')!.getAttribute('aria-label')).toContain('"><script>alert(1)')
  expect(page.querySelector('.origin')!.textContent).toBe(`Trained on ${bad}`)
  expect(page.querySelector('#trials tbody td')!.textContent).toBe('b')
  expect([...page.querySelectorAll('#influence figcaption')].map(c => c.textContent)).toEqual([name, 'lr'])
})
