import { dot, lineY } from '@observablehq/plot'
import { nth, present } from '../graph/present.ts'
import { measureKey, measureOf } from '../train/progress.ts'
import { chart, epochsAxis, upwards } from './chart-node.ts'
import { type Html, html } from './html.ts'
import { metricsOf, type Numbers, type RunLog } from './log.ts'
import { page, type Section } from './page.ts'
import { amounts, shares } from './scale.ts'
import { counted, duration, figure } from './text.ts'

/** A run beside others. */
export interface ComparedRun {
  /** Its folder. */
  readonly out: string
  /** What was trained: the model, and its preset. */
  readonly model: string
  /** Settings in which the runs differ, by name. */
  readonly settings: Readonly<Record<string, string>>
  /** Loss and metrics of each set, such as `testAccuracy`; time, speed and parameters. */
  readonly figures: Readonly<Record<string, number>>
  /** Epochs completed. */
  readonly epochs: number
  /** Whether it is complete. */
  readonly finished: boolean
}

/** Colours that are told apart in light and dark, also by most who see fewer of them (Okabe & Ito 2008). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#7a5195', '#71829a']
const colourOf = (index: number): string => nth(COLOURS, index % COLOURS.length)

const SETS = { train: 'Train', val: 'Validation', test: 'Test' } as const

/** Figures beside those of the sets, with their title and unit. */
const OTHERS: Readonly<Record<string, readonly [string, (v: number) => string]>> = {
  seconds: ['Time', duration],
  examplesPerSecond: ['Examples per second', v => Math.round(v).toLocaleString('en-US')],
  parameters: ['Parameters', v => v.toLocaleString('en-US')],
}

/** A figure's title and value in words. */
export function figureText(key: string, value: number): { readonly title: string; readonly text: string } {
  const other = OTHERS[key]
  if (other) return { title: other[0], text: other[1](value) }
  const { set, measure } = present(measureOf(key), key)
  return { title: `${SETS[set]} ${measure}`, text: figure(measure, value) }
}

/** The figures that any of the runs has, in order. */
export const figureKeys = (runs: readonly ComparedRun[]): readonly string[] => [
  ...new Set(runs.flatMap(run => Object.keys(run.figures))),
]

interface Curve {
  readonly title: string
  readonly points: readonly { readonly run: number; readonly x: number; readonly y: number }[]
}

function curve({ title, points }: Curve, runs: readonly ComparedRun[]): Html | undefined {
  if (!points.length) return undefined
  const y = (/accuracy$/i.test(title) ? shares : amounts)(points.map(p => p.y))
  const end = Math.max(...points.map(p => p.x))
  const placed = points.map(p => ({
    ...p,
    y: y.of(p.y),
    title: `${nth(runs, p.run).out}, epoch ${p.x}: ${y.say(p.y)}`,
  }))
  const marks = runs.flatMap((_, run) => {
    const own = placed.filter(p => p.run === run)
    const stroke = colourOf(run)
    return [
      lineY(own, { x: 'x', y: 'y', stroke, strokeWidth: 2 }),
      dot(own, { x: 'x', y: 'y', fill: stroke, stroke: 'var(--card)', r: 3.5, title: 'title' }),
    ]
  })
  const svg = chart(`${title} of ${runs.length} runs by epoch`, {
    ...upwards(y),
    width: 440,
    height: 236,
    ...epochsAxis(end),
    marks,
  })
  return html`<figure class="curve wide"><figcaption><b>${title}</b></figcaption>
${svg}</figure>
`
}

/** Loss and metrics of each set, epoch by epoch. */
function curvesOf(logs: readonly RunLog[]): readonly Curve[] {
  const measures = ['loss', ...new Set(logs.flatMap(metricsOf))]
  return measures.flatMap(measure =>
    (['train', 'val', 'test'] as const).map(set => {
      const key = measureKey(set, measure)
      const of = (line: Numbers, run: number) =>
        line[key] === undefined || line.epoch === undefined ? [] : [{ run, x: line.epoch, y: line[key] }]
      return {
        title: `${SETS[set]} ${measure}`,
        points: logs.flatMap((log, run) => log.epochs.flatMap(line => of(line, run))),
      }
    }),
  )
}

function table(runs: readonly ComparedRun[]): Html {
  const settings = [...new Set(runs.flatMap(run => Object.keys(run.settings)))]
  const figures = figureKeys(runs)
  const titles = figures.map(key => figureText(key, 0).title)
  const head = ['Run', 'Model', 'Epochs done', ...titles, ...settings]
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Runs"><table class="numbers classes">
<thead><tr>${head.map(title => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${runs.map(
    (run, i) =>
      html`<tr><th scope="row"><i class="swatch" style="background:${colourOf(i)}"></i> ${run.out}</th><td>${run.model}</td><td>${run.epochs}${!run.finished && ' (not complete)'}</td>${figures.map(
        key =>
          html`<td>${run.figures[key] === undefined ? '–' : figureText(key, run.figures[key]).text}</td>`,
      )}${settings.map(name => html`<td>${run.settings[name] ?? '–'}</td>`)}</tr>\n`,
  )}</tbody></table></div>`
}

/** Runs side by side, as a page in one file. @param logs of the runs, in their order */
export function comparePage(runs: readonly ComparedRun[], logs: readonly RunLog[]): string {
  const key = html`<p class="key">${runs.map(
    (run, i) => html`<span><i style="background:${colourOf(i)};height:3px"></i>${run.out}</span>`,
  )}</p>`
  const curves = curvesOf(logs).map(c => curve(c, runs))
  const sections: Section[] = [
    {
      id: 'runs',
      title: 'Runs',
      lead: 'Figures of each run, and the settings in which they differ.',
      body: table(runs),
    },
    { id: 'curves', title: 'Curves', body: html`${key}<div class="curves">${curves}</div>` },
  ]
  const top = html`<p class="kicker">Comparison</p>
<h1>${counted(runs.length, 'run')}</h1>`
  return page(`Comparison of ${counted(runs.length, 'run')}`, top, sections)
}
