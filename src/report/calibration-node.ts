import { line, rectY, text } from '@observablehq/plot'
import { nth } from '../graph/present.ts'
import { chart } from './chart-node.ts'
import { type Html, html } from './html.ts'
import type { Bin } from './scores.ts'
import { count, percent } from './text.ts'

/** How often answers of a certainty are right: bars, and the line on which both are equal. */
export function reliability(bins: readonly Bin[]): Html {
  const width = 1 / bins.length
  const filled = bins.flatMap((bin, i) =>
    bin.count ? [{ ...bin, from: i * width, to: (i + 1) * width }] : [],
  )
  const says = filled.map(
    b => `${percent(b.certainty, 0)} confident: ${percent(b.accuracy, 0)} correct of ${count(b.count)}`,
  )
  const middle = (b: (typeof filled)[number]) => (b.from + b.to) / 2
  const drawn = chart(`Accuracy by confidence: ${says.join('; ')}`, {
    width: 440,
    height: 300,
    marginLeft: 50,
    marginBottom: 40,
    marginTop: 30,
    marginRight: 28,
    x: {
      domain: [0, 1],
      ticks: 5,
      tickFormat: (v: number) => percent(v, 0),
      label: 'confidence',
      labelArrow: 'none',
      tickSize: 0,
    },
    y: {
      domain: [0, 1],
      ticks: 5,
      tickFormat: (v: number) => percent(v, 0),
      label: null,
      grid: true,
      tickSize: 0,
    },
    marks: [
      rectY(filled, {
        x1: 'from',
        x2: 'to',
        y: 'accuracy',
        fill: 'var(--train)',
        fillOpacity: b => (b.count < 10 ? 0.35 : 0.8),
        inset: 1.5,
        title: (_, i) => nth(says, i),
      }),
      line(
        [0, 1].map(v => [v, v]),
        { stroke: 'var(--text)', strokeDasharray: '4 4' },
      ),
      text(filled, { x: middle, frameAnchor: 'top', dy: -16, text: b => count(b.count), fontSize: 10.5 }),
    ],
  })
  return html`<figure class="chart"><figcaption><b>Accuracy</b> <small>above: number of predictions</small></figcaption>${drawn}</figure>`
}
