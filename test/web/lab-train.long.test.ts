import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { readCheckpoint } from '../../lab/src/worker/record.ts'
import { MODELS } from '../../models/index.ts'
import { compare, fingerprints } from '../../src/data/fingerprint.ts'
import { loadMnist } from '../../src/data/mnist-node.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { adamW } from '../../src/optim/optimizer.ts'
import { cosine } from '../../src/optim/schedule.ts'
import { recordedOptimizer, recordedSchedule } from '../../src/runs/record.ts'
import { writeSaved } from '../../src/runs/saved.ts'
import { nodeRuntime, wasmRuntime } from '../../src/runtime/node.ts'
import { classification } from '../../src/tasks/classification.ts'
import { fit } from '../../src/train/fit.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import type { RunState } from '../../src/train/progress.ts'
import { wholeLayout } from '../../src/train/step/state.ts'
import { apart } from './apart.ts'
import { noBrowser } from './browser.ts'
import {
  choose,
  downloaded,
  ends,
  field,
  goTo,
  labPage,
  logitsOf,
  reaches,
  ready,
  shows,
  startButton,
} from './lab-page.ts'

if (noBrowser) console.warn(`lab training ${noBrowser}`)

/** Milliseconds that the page's thread may be taken by one task. */
const FREEZE = 50

describe.skipIf(noBrowser)(`long training in the lab${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const lab = labPage()

  /** Does something when the page is next told where its training stands: within steps, however fast they are. */
  const atReport = (page: Page, act: 'pause' | 'stop') =>
    page.evaluate(act => {
      const { lab } = window
      const before = lab.progress.value
      let done = false
      lab.progress.subscribe(progress => {
        if (done || !progress || progress === before) return
        done = true
        void lab[act]()
      })
    }, act)

  test('goes on in Node with a checkpoint of the page, and in the page with one of Node, at the same loss', async () => {
    const { page } = await lab.open()
    await ready(page)
    await field(page, 'Architecture').selectOption('mlp')
    await field(page, 'Epochs').fill('3')
    await startButton(page).click()
    await reaches(page, 30)
    await page.getByRole('button', { name: 'Stop' }).click()
    await ends(page)
    await goTo(page, 'keep')
    const fromPage = await downloaded(page, '#save-checkpoint')

    // To the end in Node; and there once more, but only to the end of the second epoch.
    const data = await loadMnist({ data: 'digits' })
    const { model, layout, state, record } = await readCheckpoint(fromPage.name, fromPage.bytes)
    expect(compare(record.fingerprints!, await fingerprints(data))).toEqual({ differences: [] })
    const runtime = await nodeRuntime('cpu')
    const inNode = (stopAfter: number) => {
      const stop = new AbortController()
      // biome-ignore lint/suspicious/noFocusedTests: fit trains, it is no test
      return fit(runtime, model, {
        task: classification(),
        data,
        epochs: record.epochs,
        batch: record.batch,
        seed: record.seed,
        optimizer: recordedOptimizer(record.optimizer),
        schedule: recordedSchedule(record.schedule),
        resume: { ...state, sums: record.sums },
        signal: stop.signal,
        onEpoch: ({ epoch }) => {
          if (epoch === stopAfter) stop.abort()
        },
      })
    }
    const [whole, part] = [await inNode(3), await inNode(2)]
    expect(part).toMatchObject({ steps: 250, stopped: true })
    const { sums: _sums, ...settings } = record
    const bytes = writeSaved(layout, part.state, { ...settings, step: part.steps }, {})

    await choose(page, 'node.safetensors', bytes)
    await goTo(page, 'train')
    await shows(page, '.resume').toContain('node.safetensors')
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    await shows(page, '#outcome-title', 200_000).toBe('After epoch 3')
    const [first] = await page.evaluate(() => window.lab.curve.value)
    expect(first!.step).toBe(251)
    const last = await page.evaluate(() => window.lab.reports.value.at(-1)!)
    expect(last.trainLoss).toBeCloseTo(whole.epochs.at(-1)!.train.loss, 4)
    expect(last.testLoss).toBeCloseTo(whole.test!.loss, 4)
  })

  test('resumes a run of micro-batches of Node: updates, pause, look, stop and the end are those of Node', async () => {
    const data = await loadMnist({ data: 'digits' })
    // Of the page's kind: others round differently, which grows to a hundredth over so many updates.
    const runtime = await wasmRuntime()
    const model = MODELS.mlp.build(MODELS.mlp.presets.small)
    const optimizer = adamW({ lr: 2e-3 })
    const schedule = cosine()
    const settings = { epochs: 2, batch: 8, accumulate: 4, seed: 3, clipNorm: 1, ema: 0.98 }
    const perEpoch = Math.ceil(data.train.size! / (8 * 4))
    const inNode = (resume?: RunState, stopAt?: number) => {
      const stop = new AbortController()
      // biome-ignore lint/suspicious/noFocusedTests: fit trains, it is no test
      return fit(runtime, model, {
        task: classification({ labelSmoothing: 0.1 }),
        data,
        ...settings,
        optimizer,
        schedule,
        resume,
        stepsPerRun: 1,
        signal: stop.signal,
        onStep({ step }) {
          if (step === stopAt) stop.abort()
        },
      })
    }
    const part = await inNode(undefined, 5)
    expect(part.steps).toBe(5)
    const record = {
      model: { name: model.name, config: model.config },
      ...settings,
      step: part.steps,
      optimizer: { name: optimizer.name, ...optimizer.settings },
      schedule: { name: schedule.name, ...schedule.settings },
      labelSmoothing: 0.1,
      normalization: data.normalization!,
      preprocessing: data.preprocessing!,
      classes: data.train.classes!,
      examples: data.train.size!,
      fingerprints: await fingerprints(data),
      sums: part.sums!,
    }
    const layout = wholeLayout(layoutOf(model.parameters))
    const bytes = writeSaved(layout, part.state, record, {})

    const { page, complaints } = await lab.open()
    await ready(page)
    await choose(page, 'node.safetensors', bytes)
    await goTo(page, 'train')
    await shows(page, '.resume').toContain('node.safetensors')
    await atReport(page, 'pause')
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    await shows(page, '#standing-title').toMatch(/^Paused in epoch 1/)
    await page.waitForTimeout(300)

    // Paused: what the page answers is what Node's training answers after as many updates.
    await goTo(page, 'keep')
    const paused = await downloaded(page, '#save-checkpoint')
    const here = await readCheckpoint(paused.name, paused.bytes)
    expect(here.record.step).toBeGreaterThan(5)
    expect(here.record.step).toBeLessThan(perEpoch)
    expect(here.record.sums).toMatchObject({ examples: 32 * here.record.step, updates: here.record.step })
    const there = await inNode({ ...part.state, sums: part.sums }, here.record.step)
    expect(there.steps).toBe(here.record.step)
    for (const [name, vector] of Object.entries(there.state.vectors))
      expect(apart(here.state.vectors[name]!, vector), name).toBeLessThan(1e-6)
    const digit = Float32Array.from(data.test!.images.subarray(0, 784), v => v / 255)
    const predictor = await openPredictor(runtime, there.model)
    const { logits } = await predictor.run({ image: digit })
    await predictor.close()
    expect(apart(await logitsOf(page, [[...digit]]), logits!.data as Float32Array)).toBeLessThan(1e-5)

    // Stopped after more updates, it is at an update's state again, from which it comes to Node's end.
    await goTo(page, 'train')
    await atReport(page, 'stop')
    await page.getByRole('button', { name: 'Continue' }).click()
    await ends(page)
    await shows(page, '#standing-title').toMatch(/^Stopped in epoch/)
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    await shows(page, '#outcome-title', 200_000).toBe('After epoch 2')
    await ends(page)
    const whole = await inNode()
    const reports = await page.evaluate(() => window.lab.reports.value)
    expect(reports.map(r => r.step)).toEqual([perEpoch, 2 * perEpoch])
    for (const [i, { train, test }] of whole.epochs.entries()) {
      expect(reports[i]!.trainLoss).toBeCloseTo(train.loss, 5)
      expect(reports[i]!.testLoss).toBeCloseTo(test!.loss, 5)
    }
    expect(complaints).toEqual([])
  })

  // Whatever else the machine does takes time of a task as well: it may be tried again.
  test('leaves the page free: no task of its thread takes 50 ms of the processor while it trains', {
    retry: 3,
  }, async () => {
    const { page } = await lab.open()
    await ready(page)
    await field(page, 'Architecture').selectOption('mlp')
    await field(page, 'Epochs').fill('4')
    await page.waitForTimeout(500)
    const cdp = await page.context().newCDPSession(page)
    const events: {
      name: string
      ph: string
      tdur?: number
      pid: number
      tid: number
      args?: { name?: string }
    }[] = []
    cdp.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as typeof events)))
    await cdp.send('Tracing.start', { traceConfig: { includedCategories: ['toplevel', '__metadata'] } })
    // Not with the mouse: what drives the browser takes the page's thread as well.
    await page.evaluate(() => document.querySelector<HTMLButtonElement>('button[type=submit]')!.click())
    await ends(page)
    const ended = new Promise(resolve => cdp.once('Tracing.tracingComplete', resolve))
    await cdp.send('Tracing.end')
    await ended
    const threads = events.filter(e => e.name === 'thread_name' && e.args?.name === 'CrRendererMain')
    const tasks = events.filter(
      e => e.ph === 'X' && e.tdur !== undefined && threads.some(t => t.pid === e.pid && t.tid === e.tid),
    )
    expect(tasks.length).toBeGreaterThan(100)
    expect(Math.max(...tasks.map(e => e.tdur! / 1000))).toBeLessThan(FREEZE)
  })
})
