import { type PlotOptions, plot } from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { Html } from './html.ts'

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
    const fine = path.getAttribute('d')!
    path.setAttribute(
      'd',
      fine.replace(/\d+\.\d+/g, n => String(Number(Number(n).toFixed(1)))),
    )
  }
  return new Html(drawn.outerHTML)
}
