import { type PlotOptions, plot } from '@observablehq/plot'
import { effect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

/** Milliseconds between two drawings. */
const REST = 250

const whenIdle = (work: () => void): void => {
  // Safari has no idle callbacks.
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work, { timeout: 2 * REST })
  else setTimeout(work)
}

export interface ChartProps {
  /** What the chart shows, for those who do not see it. */
  readonly label: string
  /** Reads signals, whose changes draw the chart again, in idle time and not too often. */
  readonly options: (width: number) => PlotOptions
}

export function Chart({ label, options }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const place = frame.current
    if (!place) return
    let due = false
    let gone = false
    let last = 0
    const draw = () => {
      due = false
      if (gone) return
      last = performance.now()
      const width = place.clientWidth
      if (!width) return
      const drawn = plot({ ...options(width), width, className: 'plot', ariaLabel: label })
      // The page's policy allows no styles in a page; those of the chart are in its style sheet.
      for (const style of drawn.querySelectorAll('style')) style.remove()
      place.replaceChildren(drawn)
    }
    const later = () => {
      if (due) return
      due = true
      setTimeout(() => whenIdle(draw), Math.max(0, REST - (performance.now() - last)))
    }
    const watcher = new ResizeObserver(later)
    watcher.observe(place)
    const unwatch = effect(() => {
      // For the signals that it reads.
      options(place.clientWidth)
      later()
    })
    return () => {
      gone = true
      watcher.disconnect()
      unwatch()
    }
  }, [label, options])
  return <div class="chart" ref={frame} />
}
