import { keysOf } from '../graph/keys.ts'
import { shownName } from '../graph/printable.ts'
import { measureKey } from '../train/progress.ts'
import type { Confusion } from './confusion.ts'
import type { Config } from './head.ts'
import { type Html, html, named, type Part } from './html.ts'
import { metricsOf, type Numbers, type RunLog } from './log.ts'
import type { ClassScore } from './scores.ts'
import { count, duration, figure, percent, precise } from './text.ts'

type Name = (label: number) => string

/** Wide content, which is moved sideways where there is no room for it. */
export const scroll = (label: string, content: Html): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="${label}">${content}</div>`

/** Who is taken for whom, with numbers. */
export function confusionTable(confusion: readonly (readonly number[])[], name: Name): Html {
  const wrong = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)))
  const cell = (row: readonly number[], i: number, n: number, j: number): Html => {
    const most = i === j ? row.reduce((a, b) => a + b, 0) : wrong
    const shown = (n / (most || 1)).toFixed(3)
    return html`<td class="${i === j ? 'right' : n ? 'wrong' : 'none'}" style="--share:${shown}" title="${name(i)} predicted as ${name(j)}: ${count(n)}">${n ? count(n) : '·'}</td>`
  }
  return scroll(
    'Confusion matrix',
    html`<table class="confusion">
<caption>Rows: true class. Columns: predicted class.</caption>
<thead><tr><td></td>${confusion.map((_, j) => html`<th scope="col">${named(name(j))}</th>`)}</tr></thead>
<tbody>${confusion.map(
      (row, i) =>
        html`<tr><th scope="row">${named(name(i))}</th>${row.map((n, j) => cell(row, i, n, j))}</tr>\n`,
    )}</tbody></table>`,
  )
}

/** The most frequent confusions. */
export function confusionList(confusion: Confusion, name: Name, most = 12): Html {
  const pairs = confusion.mistakes().slice(0, most)
  if (!pairs.length) return html`<p>No example is misclassified.</p>`
  return html`<table class="numbers pairs">
<caption>Most frequent confusions</caption>
<thead><tr><th scope="col">True class</th><th scope="col">Predicted class</th><th scope="col">Count</th></tr></thead>
<tbody>${pairs.map(
    p =>
      html`<tr><th scope="row">${named(name(p.truth))}</th><td>${named(name(p.answer))}</td><td>${count(p.count)}</td></tr>`,
  )}</tbody></table>`
}

const shown = (share: number): string => (Number.isNaN(share) ? '–' : percent(share))
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/**
 * Precision, recall and F1 of some classes, and the mean of all.
 * @param name of the class in a row @param other of the class that it is mistaken for
 */
export function classTable(
  scores: readonly ClassScore[],
  all: readonly ClassScore[],
  name: Name,
  other: Name,
): Html {
  const average = (of: (s: ClassScore) => number) => mean(all.map(of).filter(v => !Number.isNaN(v)))
  const row = (s: Omit<ClassScore, 'mistaken'>, label: Html | string, mistaken: Part) =>
    html`<tr><th scope="row">${label}</th><td>${count(s.count)}</td><td>${shown(s.precision)}</td><td>${shown(s.recall)}</td><td>${shown(s.f1)}</td><td>${mistaken}</td></tr>\n`
  const whole = {
    count: all.reduce((n, s) => n + s.count, 0),
    precision: average(s => s.precision),
    recall: average(s => s.recall),
    f1: average(s => s.f1),
  }
  return scroll(
    'Classes',
    html`<table class="numbers classes">
<thead><tr><th scope="col">Class</th><th scope="col">Count</th><th scope="col">Precision</th><th scope="col">Recall</th><th scope="col">F1</th><th scope="col">Most confused with</th></tr></thead>
<tbody>${scores.map((s, i) => row(s, named(name(i)), s.mistaken ? [named(other(s.mistaken.for)), ` (${count(s.mistaken.count)} ×)`] : '–'))}</tbody>
<tfoot>${row(whole, 'mean', '')}</tfoot></table>`,
  )
}

const SET_NAMES = { train: 'Train', val: 'Validation', test: 'Test' } as const

type Column = readonly [key: string, title: string, say: (v: number) => string]

/** What an epoch's line holds, in the order of a table. */
function columnsOf(log: RunLog): readonly Column[] {
  const measures = ['loss', ...metricsOf(log)]
  const sets = keysOf(SET_NAMES).flatMap(set =>
    measures.map((m): Column => [measureKey(set, m), `${SET_NAMES[set]} ${m}`, v => figure(m, v)]),
  )
  const columns: readonly Column[] = [
    ['epoch', 'Epoch', count],
    ['lr', 'Learning rate', v => v.toExponential(2)],
    ...sets,
    ['gradNorm', 'Gradient norm', v => v.toPrecision(3)],
    ['seconds', 'Time', duration],
  ]
  return columns.filter(([key]) => log.epochs.some(e => e[key] !== undefined))
}

/** The curves in numbers. */
export function epochTable(log: RunLog): Html {
  const columns = columnsOf(log)
  const cell = (e: Numbers, [key, , say]: Column) => (e[key] === undefined ? '–' : say(e[key]))
  return html`<details><summary>Epochs in numbers</summary>${scroll(
    'Epochs in numbers',
    html`<table class="numbers epochs">
<thead><tr>${columns.map(([, title]) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${log.epochs.map(e => html`<tr>${columns.map(c => html`<td>${cell(e, c)}</td>`)}</tr>\n`)}</tbody></table>`,
  )}</details>`
}

/** Longer lists are cut. */
const MOST = 24

/** Longer texts are cut, and in lists those that are longer than a name. */
const LONGEST = 1000

const text = (value: unknown, most?: number): Part =>
  typeof value === 'string' ? named(shownName(value, most)) : String(value)

/** Every value of a JSON object, with its path. */
function* leaves(value: unknown, path: string): Generator<readonly [string, Part]> {
  if (Array.isArray(value) && value.every(v => typeof v !== 'object' || v === null)) {
    const more = value.length > MOST ? `, … (${count(value.length)})` : ''
    const items = value.slice(0, MOST).map((item, i) => [i ? ', ' : '', text(item)])
    yield [path, value.length ? [...items, more] : 'none']
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value))
      yield* leaves(inner, path ? `${path}.${shownName(key)}` : shownName(key))
  } else yield [path, text(value, LONGEST)]
}

/** Everything that `config.json` says. */
export const settingsTable = (config: Config): Html =>
  html`<dl class="settings">${[...leaves(config, '')].map(
    ([path, value]) => html`<div><dt>${path}</dt><dd>${value}</dd></div>\n`,
  )}</dl>`

/** Where the time went; undefined for a run that has not ended. @param examples of an epoch */
export function timings({ epochs, final }: RunLog, examples: number | undefined): Html | undefined {
  const { seconds, setupSeconds = 0, examplesPerSecond, dataWaitShare } = final ?? {}
  if (seconds === undefined || examples === undefined) return undefined
  // Releases up to 0.1.0 recorded the speed alone, which of a resumed epoch is that of its last steps.
  const steps = epochs.reduce(
    (sum, e) => sum + (e.stepSeconds ?? examples / (e.examplesPerSecond ?? Number.POSITIVE_INFINITY)),
    0,
  )
  const training = Math.min(steps, Math.max(0, seconds - setupSeconds))
  const parts = [
    ['compiling and loading', setupSeconds, 'setup'],
    ['training steps', training, 'steps'],
    ['evaluation, checkpoints and the rest', Math.max(0, seconds - setupSeconds - training), 'rest'],
  ] as const
  return html`<div class="times" role="img" aria-label="${parts.map(([name, s]) => `${name} ${duration(s)}`).join(', ')}">${parts.map(
    ([, s, kind]) => html`<i class="${kind}" style="flex-grow:${(s / seconds).toFixed(4)}"></i>`,
  )}</div>
<dl class="facts small">${parts.map(
    ([name, s, kind]) =>
      html`<div><dt><i class="swatch ${kind}"></i>${name}</dt><dd>${precise(s)} <small>${percent(s / seconds)}</small></dd></div>`,
  )}<div><dt>in all</dt><dd>${precise(seconds)}</dd></div>
${examplesPerSecond !== undefined && html`<div><dt>speed</dt><dd>${count(Math.round(examplesPerSecond))} <small>examples per second</small></dd></div>`}
${dataWaitShare !== undefined && html`<div><dt>waiting for data</dt><dd>${percent(dataWaitShare, 2)} <small>of the steps' time</small></dd></div>`}</dl>`
}
