import { fieldsOf } from '../graph/keys.ts'
import { lookup } from '../graph/present.ts'
import { measureKey, measureOf } from '../train/progress.ts'
import { type Html, html } from './html.ts'
import { metricsOf, type Numbers, type RunLog } from './log.ts'
import { interval } from './scores.ts'
import { count, counted, figure, percent, precise } from './text.ts'

/** What `config.json` holds, as far as anybody knows. */
export type Config = Readonly<Record<string, unknown>>

export interface About {
  readonly config: Config
  readonly log: RunLog
  /** Of the model, where it reads tokens. */
  readonly tokens: boolean
  readonly parameters: number
  /** What the model answers on the test set, where it is a classifier. */
  readonly answers?: { readonly accuracy: number; readonly loss: number; readonly count: number } | undefined
  /** Where the data came from, and how many examples of it are in the two sets, where that is known. */
  readonly origin: string
  readonly trainedOn: number | undefined
  readonly testedOn: number | undefined
  /** When the run wrote its last line. */
  readonly finished?: Date | undefined
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

export function titleOf(config: Config): string {
  const { name, preset } = fieldsOf(config.model)
  return [textOf(name) ?? 'model', textOf(preset)].filter(Boolean).join(' · ')
}

/** How a training ended before all its epochs were done. */
const EARLY: Readonly<Record<string, string>> = {
  signal: 'was stopped',
  until: 'ended as requested,',
  patience: 'ended early, because no epoch improved on the best,',
}

/** Whose weights these are, and what the test set had to do with that. */
export function selection(log: RunLog, config: Config): string {
  const { epochs, final, end = '' } = log
  const done = final?.epochs ?? epochs.at(-1)?.epoch ?? 0
  const all = counted(Number(config.epochs), 'epoch')
  const average = typeof config.ema === 'number' ? `, averaged over the steps (EMA, decay ${config.ema})` : ''
  const early = EARLY[end] && `The training ${EARLY[end]} after ${done} of ${all}.`
  const standing = final ? early : `The run is not complete: ${done} of ${all} are done.`
  const best = final?.bestEpoch === undefined ? 'the best epoch so far' : `epoch ${final.bestEpoch}`
  const measure = textOf(config.metric) ?? metricsOf(log)[0] ?? 'loss'
  const chosen = epochs.some(e => Object.keys(e).some(key => measureOf(key)?.set === 'val'))
    ? `The weights are those of ${best}${average}, the best by ${measure} on examples held out of the training; the test set was used once, ${final ? 'at the end' : 'for this report'}.`
    : `The weights are those after the last ${standing ? 'of these' : `of ${all}`}${average}; nothing was chosen by the test set, which was only monitored after each epoch.`
  return [standing, chosen].filter(Boolean).join(' ')
}

const fact = (name: string, value: string | undefined, more?: string): Html | undefined =>
  value === undefined
    ? undefined
    : html`<div><dt>${name}</dt><dd>${value}${more && html` <small>${more}</small>`}</dd></div>`

const time = (date: Date): string => `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`

const share = (numbers: Numbers | undefined, key: string): string | undefined =>
  numbers?.[key] === undefined ? undefined : percent(numbers[key], 2)

/** The monitored metric of a run, on the set that says most. */
function monitored({ log, config }: About): Html {
  const line = log.final ?? log.epochs.at(-1)
  const metric = textOf(config.metric) ?? metricsOf(log)[0] ?? 'loss'
  const sets = (['test', 'val', 'train'] as const).filter(
    set => line?.[measureKey(set, metric)] !== undefined,
  )
  const [set] = sets
  if (!line || !set) return html`<p class="score"><span>No epoch is completed.</span></p>`
  const measured = (of: 'train' | 'val' | 'test') =>
    ['loss', ...metricsOf(log)].flatMap(m => {
      const value = line[measureKey(of, m)]
      return value === undefined || (of === set && m === metric)
        ? []
        : [`${SETS[of]} ${m} ${figure(m, value)}`]
    })
  return html`<p class="score"><b>${figure(metric, lookup(line, measureKey(set, metric)))}</b><span>${SETS[set]} ${metric}<br><small>${sets.flatMap(measured).join(', ')}</small></span></p>`
}

const SETS = { train: 'train', val: 'validation', test: 'test' } as const

function score(about: About): Html {
  const { tokens, answers } = about
  if (!answers) return monitored(about)
  const { accuracy, loss, count: n } = answers
  const [low, high] = interval(Math.round(accuracy * n), n)
  const between = html`95 % interval ${percent(low, 2)} – ${percent(high, 2)}`
  if (tokens)
    return html`<p class="score"><b>${Math.exp(loss).toFixed(2)}</b><span>test perplexity<br><small>${loss.toFixed(4)} nats, ${(loss / Math.LN2).toFixed(3)} bits a character; ${percent(accuracy, 2)} of ${count(n)} characters right</small></span></p>`
  const wrong = n - Math.round(accuracy * n)
  return html`<p class="score"><b>${percent(accuracy, 2)}</b><span>test accuracy<br><small>${count(wrong)} of ${count(n)} wrong, ${between}</small></span></p>`
}

/** How much data there is of each set. */
function sizes({ trainedOn, testedOn, tokens }: About): string {
  const parts = [
    trainedOn === undefined ? undefined : `trained on ${counted(trainedOn, tokens ? 'row' : 'example')}`,
    testedOn === undefined ? undefined : `tested on ${count(testedOn)}`,
  ].filter(part => part !== undefined)
  const text = parts.join(', ')
  return text && `${text.charAt(0).toUpperCase()}${text.slice(1)}: `
}

/** The run at a glance. */
export function head(about: About): Html {
  const { config, log, parameters, origin, finished, answers, tokens } = about
  const { final, epochs } = log
  const last = epochs.at(-1)
  const steps = final?.steps ?? last?.step
  const seconds = final?.seconds ?? last?.seconds
  const made = [
    ...(finished ? [`Finished ${time(finished)}`] : []),
    ...Object.entries(fieldsOf(config.versions)).map(([name, version]) => `${name} ${version}`),
  ]
  return html`
<p class="kicker">Training report</p>
<h1>${titleOf(config)}</h1>
<p class="origin">${sizes(about)}${origin}</p>
${score(about)}
<dl class="facts">
${fact('Train accuracy', share(final, 'trainAccuracy'))}
${fact('Validation accuracy', share(final, 'valAccuracy'))}
${fact('Test loss', tokens ? undefined : answers?.loss.toFixed(4))}
${fact('Parameters', count(parameters))}
${fact('Training', last && counted(lookup(last, 'epoch'), 'epoch'), steps === undefined ? undefined : counted(steps, 'step'))}
${fact('Time', seconds === undefined ? undefined : precise(seconds), textOf(config.device) && `on ${config.device}`)}
</dl>
<p class="chosen">${selection(log, config)}</p>
<p class="quiet">${made.join(' · ')}</p>`
}
