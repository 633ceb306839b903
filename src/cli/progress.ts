import cliProgress from 'cli-progress'
import { type EpochResult, judged, type Progress } from '../train/progress.ts'
import { duration, note, percent } from './output.ts'

/** Seconds between two lines about a running epoch, where there is no terminal to draw a bar on. */
const QUIET_SECONDS = 30

export interface Reporter {
  step(p: Progress): void
  epoch(e: EpochResult): void
  end(): void
}

const figures = (p: Progress): string =>
  `loss ${p.loss.toFixed(4)}  acc ${percent(p.accuracy)}  lr ${p.lr.toExponential(1)}  ${Math.round(p.imagesPerSecond).toLocaleString('en-US')} img/s`

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
  const left = (p: Progress): string =>
    duration((((performance.now() - begin) / 1000) * (p.steps - p.step)) / p.step)

  const stop = () => {
    if (running) bar?.stop()
    running = false
  }
  // The cursor is there again whatever ends the program.
  process.on('exit', stop)
  return {
    step(p) {
      if (bar) {
        const perEpoch = p.steps / p.epochs
        if (!running) bar.start(perEpoch, 0, { epoch: '', figures: '', left: '' })
        running = true
        bar.update(p.step - (p.epoch - 1) * perEpoch, {
          epoch: `${p.epoch}/${p.epochs}`,
          figures: figures(p),
          left: left(p),
        })
      } else if (performance.now() - spoke > QUIET_SECONDS * 1000) {
        spoke = performance.now()
        note(`epoch ${p.epoch}/${p.epochs}  step ${p.step}/${p.steps}  ${figures(p)}  ${left(p)} left`)
      }
    },
    epoch(e) {
      stop()
      spoke = performance.now()
      const width = String(epochs).length
      const { set, loss, accuracy } = judged(e)
      note(
        `epoch ${String(e.epoch).padStart(width)}/${epochs}  train loss ${e.trainLoss.toFixed(4)} acc ${percent(e.trainAccuracy)}  ${set} loss ${loss.toFixed(4)} acc ${percent(accuracy)}  lr ${e.lr.toExponential(1)}  ${Math.round(e.imagesPerSecond).toLocaleString('en-US')} img/s  ${duration(e.seconds)}`,
      )
    },
    end() {
      stop()
      process.off('exit', stop)
    },
  }
}
