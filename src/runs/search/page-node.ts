import { lookup, nth } from '../../graph/present.ts'
import { type Html, html } from '../../report/html.ts'
import { page, type Section } from '../../report/page.ts'
import { settingsTable } from '../../report/tables.ts'
import { count, counted, duration, figure, precise } from '../../report/text.ts'
import { measureKey } from '../../train/progress.ts'
import { courses, influences, said } from './charts-node.ts'
import { type TrialResult, type TuneState, trialResults } from './result.ts'
import { readSpace } from './space.ts'

const fact = (name: string, value: string, more?: string): Html =>
  html`<div><dt>${name}</dt><dd>${value}${more && html` <small>${more}</small>`}</dd></div>`

const shown = (name: string, value: number | undefined): string =>
  value === undefined ? '–' : figure(name, value)

/** What the validation set is measured by, the monitored metric first. */
const measuresOf = ({ trials, search: { metric } }: TuneState): readonly string[] => [
  ...new Set([metric, ...trials.flatMap(t => Object.keys(t.epochs[0] ?? {}))]),
]

/** A figure of a trial on the validation set. */
export const valOf = (result: TrialResult, measure: string): number | undefined =>
  result[measureKey('val', measure)]

/** The trial that won, in large; or that there is none. */
function score({ trials, search: { metric } }: TuneState, results: readonly TrialResult[]): Html {
  const best = results.find(r => r.status === 'winner')
  const final = best && nth(trials, best.trial).final
  if (!best || !final) {
    const why = results.every(r => r.status === 'failed')
      ? 'All trials failed.'
      : 'The search is not complete.'
    return html`<p class="score"><span>${why}</span></p>`
  }
  const onTest = final[measureKey('test', metric)]
  const test =
    onTest === undefined ? '' : `test ${metric} ${shown(metric, onTest)}, measured once the trial was chosen`
  return html`<p class="score"><b>${shown(metric, valOf(best, metric))}</b><span>validation ${metric} of trial ${best.trial}, epoch ${best.bestEpoch}<br><small>${test}</small></span></p>`
}

function head(state: TuneState, results: readonly TrialResult[], origin: string): Html {
  const { record, search } = state
  const failed = results.filter(r => r.status === 'failed').length
  const epochs = results.reduce((sum, r) => sum + r.epochs, 0)
  const seconds = results.reduce((sum, r) => sum + r.seconds, 0)
  const { rungs, eta, metric } = search
  const halving = rungs.length > 1
  return html`
<p class="kicker">Search for settings</p>
<h1>${record.model} · ${counted(results.length, 'trial')}</h1>
<p class="origin">Trained on ${origin}</p>
${score(state, results)}
<dl class="facts">
${fact('Strategy', halving ? 'halving' : 'random', halving ? `one in ${eta} continues` : undefined)}
${fact(halving ? 'Rungs' : 'Epochs of a trial', rungs.join(', '), halving ? 'epochs' : undefined)}
${fact('Trials', count(results.length), failed ? `${failed} failed` : undefined)}
${fact('Epochs in all', count(epochs))}
${fact('Training steps', duration(seconds))}
</dl>
<p class="chosen">Trials are chosen by ${metric} on the validation set, at each trial's best epoch. The test set has no part in it.</p>`
}

function trialTable(state: TuneState, results: readonly TrialResult[]): Html {
  const measures = measuresOf(state)
  const names = Object.keys(nth(results, 0).values)
  const title = (name: string) => html`<th scope="col">${name}</th>`
  const row = (r: TrialResult) =>
    html`<tr><th scope="row">${r.trial}</th>${names.map(
      name => html`<td>${said(lookup(r.values, name))}</td>`,
    )}<td>${r.epochs}</td>${measures.map(m => html`<td>${shown(m, valOf(r, m))}</td>`)}<td>${r.epochs ? precise(r.seconds) : '–'}</td><td>${r.failure === undefined ? html`<span style="white-space:nowrap">${r.status}</span>` : `failed: ${r.failure}`}</td></tr>\n`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Trials"><table class="numbers classes">
<thead><tr>${['Trial', ...names, 'Epochs', ...measures.map(m => `Validation ${m}`), 'Time', 'Status'].map(title)}</tr></thead>
<tbody>${results.map(row)}</tbody></table></div>`
}

/** A command whose flags stay with their values where the line breaks. */
const typed = (command: string): Html[] =>
  command
    .split(/ (?=--)/)
    .map((part, i) => html`${i ? ' ' : ''}<span style="display:inline-block">${part}</span>`)

const section = (id: string, title: string, lead: string, body: Html | '' | undefined): Section[] =>
  body ? [{ id, title, lead, body }] : []

/**
 * The result of a search, as a page in one file.
 * @param origin where the data came from
 * @param command what trains the winner's settings
 */
export function tunePage(state: TuneState, origin: string, command: string | undefined): string {
  const results = trialResults(state)
  const { model, space } = state.record
  const best = results.find(r => r.status === 'winner')
  const winner =
    best &&
    command &&
    html`<dl class="facts" style="padding-top:0;border-top:0">${Object.entries(best.values).map(([name, value]) => fact(name, said(value)))}</dl>
<p style="font-family:ui-monospace,monospace;font-size:0.875rem;overflow-wrap:anywhere;margin-top:1rem">${typed(command)}</p>`
  return page(`${model} – search for settings`, head(state, results, origin), [
    ...section('winner', 'Winner', 'Its settings, and what trains them again.', winner),
    ...section('epochs', 'Epochs', 'Each line is a trial, on the validation set.', courses(state, results)),
    ...section(
      'influence',
      'Settings',
      `Trials at their best epoch, against each setting that varies; the line under a dot begins where the trial was after ${counted(nth(state.search.rungs, 0), 'epoch')}.`,
      influences(state, results, readSpace(space, 'space')),
    ),
    ...section('trials', 'Trials', 'The best first.', trialTable(state, results)),
    ...section('asked', 'Asked for', 'All that tune.json says.', settingsTable({ ...state.record })),
  ])
}
