import { dot, lineY, type Markish, ruleX } from '@observablehq/plot'
import { lookup, nth } from '../graph/present.ts'
import { measureKey } from '../train/progress.ts'
import { chart, rightwards, upwards } from './chart-node.ts'
import { type Html, html } from './html.ts'
import { metricsOf, type Numbers, type RunLog } from './log.ts'
import { amounts, fromZero, type Scale, shares } from './scale.ts'

interface Point {
  readonly x: number
  readonly y: number
  /** Where it stands, in words. */
  readonly at: string
}

/** One line of a chart, and its place in the key. */
interface Series {
  readonly name: string
  readonly role: 'step' | 'train' | 'held' | 'once'
  readonly points: readonly Point[]
}

interface Figure {
  readonly title: string
  readonly note?: string
  readonly size: keyof typeof SIZES
  readonly scale: (values: readonly number[]) => Scale
  readonly series: readonly Series[]
}

/** The axis that all charts share. */
interface Axis {
  readonly unit: 'epoch' | 'step'
  readonly end: number
  /** The epoch whose weights were taken. */
  readonly taken?: number | undefined
}

const SIZES = { wide: { width: 440, height: 236 }, small: { width: 340, height: 190 } } as const
const STROKE = { step: 'var(--train)', train: 'var(--train)', held: 'var(--held)', once: 'var(--once)' }

/** Points of more epochs than this would hide their line. */
const MOST_DOTS = 40

function marksOf({ role, points }: Series, { of, say }: Scale): Markish[] {
  const shown = points.map(({ x, y, at }) => ({ x, y: of(y), title: `${at}: ${say(y)}` }))
  const place = { x: 'x', y: 'y' } as const
  const stroke = STROKE[role]
  if (role === 'step') return [lineY(shown, { ...place, stroke, strokeWidth: 1, strokeOpacity: 0.45 })]
  const marked = { ...place, fill: stroke, stroke: 'var(--card)', title: 'title' } as const
  if (role === 'once') return [dot(shown, { ...marked, symbol: 'diamond', r: 6 })]
  return [
    lineY(shown, { ...place, stroke, strokeWidth: 2 }),
    ...(shown.length > MOST_DOTS ? [] : [dot(shown, { ...marked, r: 3.5 })]),
  ]
}

/** What a line does, in words. */
const summary = ({ name, points }: Series, say: (v: number) => string): string =>
  points.length > 1
    ? `${name} from ${say(nth(points, 0).y)} to ${say(nth(points, -1).y)}`
    : `${name} ${say(nth(points, 0).y)}`

function drawn(
  { title, note, series: all, scale, size }: Figure,
  { unit, end, taken }: Axis,
): Html | undefined {
  const series = all.filter(s => s.points.length)
  if (!series.length) return undefined
  const y = scale(series.flatMap(s => s.points.map(p => p.y)))
  const marked = taken !== undefined && size === 'wide'
  const svg = chart(`${title} by ${unit}: ${series.map(s => summary(s, y.say)).join('; ')}`, {
    ...SIZES[size],
    ...upwards(y),
    ...rightwards(unit, 0, end),
    marks: [
      ...(!marked ? [] : [ruleX([taken], { stroke: 'var(--quiet)', strokeDasharray: '2 3' })]),
      ...series.flatMap(s => marksOf(s, y)),
    ],
  })
  const key = html`<p class="key">${series.map(s => html`<span><i class="${s.role}"></i>${s.name}</span>`)}${
    marked && html`<span><i class="taken"></i>weights taken</span>`
  }</p>`
  return html`<figure class="curve ${size}">
<figcaption><b>${title}</b>${note && html` <small>${note}</small>`}</figcaption>
${svg}${series.length > 1 && key}
</figure>
`
}

/**
 * Curves of loss, metrics, learning rate, norm of the gradient and speed; nothing of what a run has not recorded.
 * @param examples what the model learns from, in words
 */
export function curves(log: RunLog, examples: string): Html {
  const { epochs, steps, final } = log
  const validated = epochs.some(e => e.valLoss !== undefined)
  const held = validated ? 'val' : 'test'
  const heldName = validated ? 'validation' : 'test'
  const first = epochs[0]
  // Epochs are of the same length. Before the first has ended, nobody has said of which.
  const perEpoch = first ? lookup(first, 'step') / lookup(first, 'epoch') : 1
  const reached = steps.at(-1)?.step ?? 0
  const taken = validated ? final?.bestEpoch : undefined
  const axis: Axis = {
    unit: first ? 'epoch' : 'step',
    end: Math.max(epochs.at(-1)?.epoch ?? 0, reached / perEpoch),
    taken,
  }
  const pointsOf = (lines: readonly Numbers[], key: string, x: (line: Numbers) => number): Point[] =>
    lines.flatMap(line => {
      const y = line[key]
      return y === undefined ? [] : [{ x: x(line), y, at: `epoch ${line.epoch}` }]
    })
  const bySteps = (key: string): Point[] => pointsOf(steps, key, line => lookup(line, 'step') / perEpoch)
  const atEnds = (key: string): Point[] => pointsOf(epochs, key, line => lookup(line, 'epoch'))
  // A mean over an epoch is what it was about the epoch's middle.
  const mean = (key: string): Series => ({
    name: 'training, mean of the epoch',
    role: 'train',
    points: pointsOf(epochs, key, line => lookup(line, 'epoch') - 0.5),
  })
  const after = (key: string): Series => ({ name: heldName, role: 'held', points: atEnds(`${held}${key}`) })
  const once = (key: string): Series => {
    const y = validated ? final?.[key] : undefined
    const points = y === undefined ? [] : [{ x: taken ?? axis.end, y, at: 'the test set, once' }]
    return { name: 'test, once', role: 'once', points }
  }
  const metrics = metricsOf(log)
  const figures: readonly Figure[] = [
    {
      title: 'Loss',
      ...(metrics.includes('accuracy') ? { note: 'cross-entropy' } : {}),
      size: 'wide',
      scale: amounts,
      series: [
        { name: 'training, by step', role: 'step', points: bySteps('loss') },
        mean('trainLoss'),
        after('Loss'),
        once('testLoss'),
      ],
    },
    ...metrics.map((metric): Figure => {
      const key = measureKey('test', metric)
      return {
        title: `${metric[0]?.toUpperCase()}${metric.slice(1)}`,
        size: 'wide',
        scale: /accuracy$/i.test(metric) ? shares : amounts,
        series: [mean(measureKey('train', metric)), after(key.slice('test'.length)), once(key)],
      }
    }),
    {
      title: 'Learning rate',
      size: 'small',
      scale: fromZero,
      series: [{ name: 'learning rate', role: 'train', points: steps.length ? bySteps('lr') : atEnds('lr') }],
    },
    {
      title: 'Gradient norm',
      note: 'before clipping',
      size: 'small',
      scale: amounts,
      series: [
        { name: 'by step', role: 'step', points: bySteps('gradNorm') },
        { ...mean('gradNorm'), name: 'mean of the epoch' },
      ],
    },
    {
      title: `${examples} per second`,
      size: 'small',
      scale: fromZero,
      series: [{ name: 'training', role: 'train', points: atEnds('examplesPerSecond') }],
    },
  ]
  return html`<div class="curves">${figures.map(f => drawn(f, axis))}</div>`
}
