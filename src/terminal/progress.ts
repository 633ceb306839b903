import cliProgress from 'cli-progress'
import type { Measured } from '../train/measured.ts'
import { type EpochResult, judged, type Progress } from '../train/progress.ts'
import { interruptible } from './interrupt.ts'
import { duration, figure, note, showLive } from './output.ts'

/** Seconds between two lines about a running epoch, where there is no terminal to draw a bar on. */
const QUIET_SECONDS = 30

interface Reporter {
  step(p: Progress): void
  epoch(e: EpochResult): void
  end(): void
}

/** Loss and metrics. */
const measures = ({ loss, ...metrics }: Measured): string =>
  [['loss', loss] as const, ...Object.entries(metrics)].map(measureText).join('  ')

const measureText = ([name, value]: readonly [string, number]): string =>
  `${name === 'accuracy' ? 'acc' : name} ${figure(name, value)}`

const speed = (examplesPerSecond: number): string =>
  `${Math.round(examplesPerSecond).toLocaleString('en-US')} img/s`

const figures = ({ mean, lr, examplesPerSecond }: Progress): string =>
  `${measures(mean)}  lr ${lr.toExponential(1)}  ${speed(examplesPerSecond)}`

/** Progress of a run on stderr: a bar on a terminal, plain lines elsewhere. */
function reporter(epochs: number): Reporter {
  const terminal = Boolean(process.stderr.isTTY)
  const bar = terminal
    ? new cliProgress.SingleBar({
        format: 'epoch {epoch} {bar} {percentage}%  {figures}  {left}',
        stream: process.stderr,
        hideCursor: true,
        // Signals have one place, interrupt.ts.
        gracefulExit: false,
        clearOnComplete: true,
        barsize: 20,
        fps: 8,
      })
    : undefined
  let running = false
  let spoke = performance.now()
  /** When the first step of this process was done, and how many had been done before. */
  let first: { readonly at: number; readonly step: number } | undefined
  // The command line's data say how many examples they have.
  const stepsOf = ({ steps, step }: Progress): number => steps ?? step
  const left = (p: Progress): string => {
    first ??= { at: performance.now(), step: p.step }
    const done = p.step - first.step
    return done > 0
      ? `${duration((((performance.now() - first.at) / 1000) * (stepsOf(p) - p.step)) / done)} left`
      : ''
  }

  const stop = () => {
    if (running) bar?.stop()
    running = false
  }
  // The bar goes back to the line that it began on, so it has to restart below what is printed.
  showLive(stop)
  // The cursor is there again whatever ends the program.
  process.on('exit', stop)
  return {
    step(p) {
      if (bar) {
        const perEpoch = stepsOf(p) / p.epochs
        const done = p.step - (p.epoch - 1) * perEpoch
        const shown = { epoch: `${p.epoch}/${p.epochs}`, figures: figures(p), left: left(p) }
        if (running) bar.update(done, shown)
        else bar.start(perEpoch, done, shown)
        running = true
      } else if (performance.now() - spoke > QUIET_SECONDS * 1000) {
        spoke = performance.now()
        note(`epoch ${p.epoch}/${p.epochs}  step ${p.step}/${stepsOf(p)}  ${figures(p)}  ${left(p)}`)
      }
    },
    epoch(e) {
      stop()
      spoke = performance.now()
      const width = String(epochs).length
      const own = judged(e)
      const held = own ? `  ${own.set} ${measures(own.measured)}` : ''
      note(
        `epoch ${String(e.epoch).padStart(width)}/${epochs}  train ${measures(e.train)}${held}  lr ${e.lr.toExponential(1)}  ${speed(e.examplesPerSecond)}  ${duration(e.epochSeconds)}`,
      )
    },
    end() {
      stop()
      showLive(() => {})
      process.off('exit', stop)
    },
  }
}

/** Follows runs on the terminal, and stops them at Ctrl-C. */
export interface Following {
  /** Options of a run, a search or repeats. */
  readonly options: {
    readonly signal: AbortSignal
    readonly label: (name: string) => string
    readonly onNotice: (line: string) => void
    readonly onStep: Reporter['step']
    readonly onEpoch: Reporter['epoch']
  }
  /** The exit code of a program that a signal ended. */
  readonly code: number
  /** A run of so many epochs begins. */
  begin(epochs: number): void
  /** No run is going on, for now. */
  pause(): void
  end(): void
}

/** @param label what messages call a setting */
export function followed(label: (name: string) => string): Following {
  const interrupt = interruptible()
  let progress: Reporter | undefined
  const pause = () => progress?.end()
  return {
    options: {
      signal: interrupt.signal,
      label,
      onNotice: line => note(`NOTE      ${line}`),
      onStep: p => progress?.step(p),
      onEpoch: e => progress?.epoch(e),
    },
    get code() {
      return interrupt.code
    },
    begin(epochs) {
      pause()
      progress = reporter(epochs)
    },
    pause,
    end() {
      pause()
      interrupt.end()
    },
  }
}
