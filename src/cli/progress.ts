import cliProgress from 'cli-progress'
import type { Measured } from '../train/measured.ts'
import { type EpochResult, judged, type Progress } from '../train/progress.ts'
import { duration, note, percent } from './output.ts'

/** Seconds between two lines about a running epoch, where there is no terminal to draw a bar on. */
const QUIET_SECONDS = 30

export interface Reporter {
  step(p: Progress): void
  epoch(e: EpochResult): void
  end(): void
}

/** Loss and accuracy, of tasks that have one. */
const measures = ({ loss, accuracy }: Measured): string =>
  `loss ${loss.toFixed(4)}${accuracy === undefined ? '' : ` acc ${percent(accuracy)}`}`

const speed = (examplesPerSecond: number): string =>
  `${Math.round(examplesPerSecond).toLocaleString('en-US')} img/s`

const figures = ({ mean, lr, examplesPerSecond }: Progress): string =>
  `${measures(mean)}  lr ${lr.toExponential(1)}  ${speed(examplesPerSecond)}`

/** Progress of a run on stderr: a bar on a terminal, plain lines elsewhere. */
export function reporter(epochs: number): Reporter {
  const terminal = Boolean(process.stderr.isTTY)
  const bar = terminal
    ? new cliProgress.SingleBar({
        format: 'epoch {epoch} {bar} {percentage}%  {figures}  {left} left',
        stream: process.stderr,
        hideCursor: true,
        // Signals have one place, interrupt.ts.
        gracefulExit: false,
        clearOnComplete: true,
        barsize: 20,
        fps: 8,
      })
    : undefined
  const begin = performance.now()
  let running = false
  let spoke = begin
  // The command line's data say how many examples they have.
  const stepsOf = ({ steps, step }: Progress): number => steps ?? step
  const left = (p: Progress): string =>
    duration((((performance.now() - begin) / 1000) * (stepsOf(p) - p.step)) / p.step)

  const stop = () => {
    if (running) bar?.stop()
    running = false
  }
  // The cursor is there again whatever ends the program.
  process.on('exit', stop)
  return {
    step(p) {
      if (bar) {
        const perEpoch = stepsOf(p) / p.epochs
        if (!running) bar.start(perEpoch, 0, { epoch: '', figures: '', left: '' })
        running = true
        bar.update(p.step - (p.epoch - 1) * perEpoch, {
          epoch: `${p.epoch}/${p.epochs}`,
          figures: figures(p),
          left: left(p),
        })
      } else if (performance.now() - spoke > QUIET_SECONDS * 1000) {
        spoke = performance.now()
        note(`epoch ${p.epoch}/${p.epochs}  step ${p.step}/${stepsOf(p)}  ${figures(p)}  ${left(p)} left`)
      }
    },
    epoch(e) {
      stop()
      spoke = performance.now()
      const width = String(epochs).length
      const own = judged(e)
      const held = own ? `  ${own.set} ${measures(own.measured)}` : ''
      note(
        `epoch ${String(e.epoch).padStart(width)}/${epochs}  train ${measures(e.train)}${held}  lr ${e.lr.toExponential(1)}  ${speed(e.examplesPerSecond)}  ${duration(e.seconds)}`,
      )
    },
    end() {
      stop()
      process.off('exit', stop)
    },
  }
}
