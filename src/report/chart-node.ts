import { type PlotOptions, plot } from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { nth } from '../graph/present.ts'
import { plainLines } from '../graph/printable.ts'
import { Html } from './html.ts'
import { evenTicks, plain, type Scale } from './scale.ts'

const { document } = parseHTML('<!doctype html><html></html>')

/** A chart as SVG whose colours are those of the page around it. @param label what it shows, for those who do not see it */
export function chart(label: string, options: PlotOptions): Html {
  const drawn = plot({ marginTop: 14, marginRight: 14, ...options, document, className: 'plot' })
  for (const style of drawn.querySelectorAll('style')) style.remove()
  drawn.setAttribute('role', 'img')
  drawn.setAttribute('aria-label', label)
  // As wide as its place, at the same proportions.
  drawn.removeAttribute('width')
  drawn.removeAttribute('height')
  for (const path of drawn.querySelectorAll('path')) {
    const fine = path.getAttribute('d') ?? ''
    const coarse = fine.replace(/\d+\.\d+/g, n => String(Number(Number(n).toFixed(1))))
    if (coarse) path.setAttribute('d', coarse)
  }
  return new Html(plainLines(drawn.outerHTML))
}

/** An upward axis of a scale, with lines across, and room beside it for its labels. */
export const upwards = (y: Scale): PlotOptions => ({
  // Room for the longest label, of digits 7 pixels wide.
  marginLeft: 14 + 7 * Math.max(...y.ticks.map(t => t.label.length)),
  marginBottom: 36,
  y: {
    domain: y.domain,
    ticks: y.ticks.map(t => t.at),
    tickFormat: (_, i) => nth(y.ticks, i).label,
    grid: true,
    label: null,
    tickSize: 0,
  },
})

/** A rightward axis of epochs or steps, at whole numbers. */
export const rightwards = (label: string, begin: number, end: number): PlotOptions => ({
  x: {
    domain: [begin, end],
    ticks: evenTicks(end, { whole: true, beyond: false }).filter(tick => tick >= begin),
    tickFormat: plain,
    label,
    labelArrow: 'none',
    tickSize: 0,
  },
})

/** The axis of runs that are compared after each epoch: from the first; from 0 where there is only one epoch. */
export const epochsAxis = (end: number): PlotOptions => rightwards('epoch', Math.min(1, end - 1), end)
