import { dot, lineY, type Markish, type PlotOptions, ruleX } from '@observablehq/plot'
import { lookup, nth } from '../../graph/present.ts'
import { shownName } from '../../graph/printable.ts'
import { chart, epochsAxis, upwards } from '../../report/chart-node.ts'
import { type Html, html } from '../../report/html.ts'
import { amounts, logTicks, plain, type Scale, shares } from '../../report/scale.ts'
import { counted } from '../../report/text.ts'
import type { Value } from '../../settings/setting.ts'
import type { Measured } from '../../train/measured.ts'
import type { TrialResult, TuneState } from './result.ts'
import { bestUpTo } from './search.ts'
import type { Dimension } from './space.ts'

/** How trials are drawn, by what became of them; the last ones lie on top. */
const ROLES = [
  { role: 'dropped', name: 'not continued', colour: 'var(--bar)', width: 1.25, radius: 3.5, opacity: 0.8 },
  { role: 'finished', name: 'completed', colour: 'var(--train)', width: 1.75, radius: 4, opacity: 1 },
  { role: 'winner', name: 'winner', colour: 'var(--held)', width: 3, radius: 5.5, opacity: 1 },
] as const

type Role = (typeof ROLES)[number]

const isOf = ({ role }: Role, { status }: TrialResult): boolean =>
  status === role || (role === 'dropped' && (status === 'open' || status === 'failed'))

/** A value of a setting in words. */
export const said = (value: Value): string => {
  if (typeof value === 'number') return String(value)
  return typeof value === 'object' ? value.join(', ') || 'none' : shownName(String(value))
}

/** @param mark the look of what stands for a role */
const key = (results: readonly TrialResult[], mark: (role: Role) => string): Html =>
  html`<p class="key">${ROLES.filter(role => results.some(r => isOf(role, r))).map(
    r => html`<span><i style="background:${r.colour};opacity:${r.opacity};${mark(r)}"></i>${r.name}</span>`,
  )}</p>`

const asLine = ({ width }: Role): string => `height:${Math.ceil(width)}px`
const asDot = ({ radius }: Role): string => `width:${2 * radius}px;height:${2 * radius}px;border-radius:50%`

/** What is drawn upwards: what decides. */
function measured({ search }: TuneState, values: readonly Measured[]): Scale & { readonly title: string } {
  const { metric } = search
  const scale = (metric === 'accuracy' ? shares : amounts)(values.map(v => v[metric] ?? Number.NaN))
  return { ...scale, title: `Validation ${metric}` }
}

/** What trials came to on the validation set, epoch by epoch; undefined before the first one. */
export function courses(state: TuneState, results: readonly TrialResult[]): Html | undefined {
  const { trials, search } = state
  const all = trials.flatMap(t => t.epochs)
  if (!all.length) return undefined
  const y = measured(state, all)
  const end = Math.max(...trials.map(t => t.epochs.length))
  const points = (role: Role) =>
    results
      .filter(r => isOf(role, r))
      .flatMap(({ trial }) =>
        nth(trials, trial).epochs.map((figures, i) => ({
          trial,
          x: i + 1,
          y: y.of(figures[search.metric] ?? Number.NaN),
          title: `trial ${trial}, epoch ${i + 1}: ${y.say(figures[search.metric] ?? Number.NaN)}`,
        })),
      )
  const marks = ROLES.flatMap((role): Markish[] => {
    const { colour, width, radius, opacity } = role
    const of = points(role)
    const line = { x: 'x', y: 'y', z: 'trial', stroke: colour, strokeWidth: width, strokeOpacity: opacity }
    const dots = { x: 'x', y: 'y', fill: colour, fillOpacity: opacity, stroke: 'var(--card)', title: 'title' }
    return [lineY(of, line), dot(of, { ...dots, r: radius })]
  })
  const drawn = chart(`${y.title} of ${trials.length} trials by epoch`, {
    ...upwards(y),
    width: 900,
    height: 320,
    ...epochsAxis(end),
    marks,
  })
  // Small screens show it in parts rather than too small to read.
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Epochs"><div style="min-width:36rem">${drawn}</div></div>${key(results, asLine)}`
}

/** Labels of choices are cut where they would run into each other. */
const LONGEST = 14

/** The axis of a setting, and where its values stand on it. */
function across(d: Dimension): { readonly x: PlotOptions['x'] & object; readonly of: (v: Value) => unknown } {
  const axis = { label: null, tickSize: 0 } as const
  if (d.kind === 'choice')
    return {
      x: {
        ...axis,
        type: 'point',
        domain: d.values.map(said),
        padding: 0.5,
        tickFormat: (v: string) => (v.length > LONGEST ? `${v.slice(0, LONGEST - 1)}…` : v),
      },
      of: said,
    }
  const { low, high } = d
  if (d.kind === 'log') {
    const ticks = logTicks(low, high)
    const domain = [Math.log10(low), Math.log10(high)]
    const said = (v: number) => plain(Number((10 ** v).toPrecision(6)))
    return {
      x: {
        ...axis,
        domain,
        // A range without a round number within has its ends.
        ticks: ticks.length > 1 ? ticks.map(Math.log10) : domain,
        tickFormat: said,
        inset: 8,
      },
      of: v => Math.log10(Number(v)),
    }
  }
  const whole = d.kind === 'int' && high - low <= 8
  const ticks = whole ? Array.from({ length: high - low + 1 }, (_, i) => low + i) : 5
  return { x: { ...axis, domain: [low, high], ticks, tickFormat: plain, inset: 8 }, of: Number }
}

/**
 * What trials came to against each setting that varies, at their best epoch; below it where each stood after the first rung,
 * up to which all were trained.
 */
export function influences(
  state: TuneState,
  results: readonly TrialResult[],
  space: readonly Dimension[],
): Html | undefined {
  const { metric, rungs } = state.search
  const known = results.flatMap(result => {
    const trial = nth(state.trials, result.trial)
    const best = bestUpTo(trial, trial.epochs.length, metric)
    const first = bestUpTo(trial, nth(rungs, 0), metric)
    return best && first ? [{ result, best: best.measured, first: first.measured }] : []
  })
  if (!known.length) return undefined
  const y = measured(
    state,
    known.flatMap(k => [k.best, k.first]),
  )
  const drawn = space.map(d => {
    const { x, of } = across(d)
    const marks = ROLES.flatMap((role): Markish[] => {
      const { colour, opacity, radius } = role
      const shown = known
        .filter(k => isOf(role, k.result))
        .map(({ result, best, first }) => ({
          x: of(lookup(result.values, d.name)),
          from: y.of(first[metric] ?? Number.NaN),
          to: y.of(best[metric] ?? Number.NaN),
          title: `trial ${result.trial}, ${d.name} ${said(lookup(result.values, d.name))}: ${y.say(best[metric] ?? Number.NaN)} in ${counted(result.epochs, 'epoch')}, ${y.say(first[metric] ?? Number.NaN)} in ${rungs[0]}`,
        }))
      const stem = { x: 'x', y1: 'from', y2: 'to', stroke: colour, strokeOpacity: opacity }
      const end = { x: 'x', y: 'to', title: 'title', fill: colour, fillOpacity: opacity }
      return [ruleX(shown, stem), dot(shown, { ...end, stroke: 'var(--card)', r: radius })]
    })
    const svg = chart(`${y.title} by ${d.name}`, {
      ...upwards(y),
      marginBottom: 24,
      width: 340,
      height: 200,
      x,
      marks,
    })
    return html`<figure class="curve small"><figcaption><b>${shownName(d.name, 80)}</b></figcaption>
${svg}</figure>
`
  })
  return html`<div class="curves">${drawn}</div>${key(results, asDot)}`
}
