import type { Progress } from '../../../src/train/progress.ts'
import type { CurvePoint, Event, RunProgress, TrainSettings } from '../protocol.ts'

/** A curve has about so many points, whatever a run's length. */
const POINTS = 400
/** The speed is that of so many reports. */
const WINDOW = 20

/** Sums over images. */
interface Sums {
  readonly images: number
  readonly loss: number
  readonly correct: number
}
const NONE: Sums = { images: 0, loss: 0, correct: 0 }

const between = (a: Sums, b: Sums) => {
  const images = b.images - a.images
  return { loss: (b.loss - a.loss) / images, accuracy: (b.correct - a.correct) / images }
}

/** What a trainer says after each step, which is means over the epoch so far, as points of curves and a speed. */
export class Curve {
  /** Of the whole run. */
  readonly steps: number
  readonly #size: number
  readonly #batch: number
  readonly #perEpoch: number
  readonly #every: number
  readonly #now: () => number
  #points: CurvePoint[] = []
  #last: Progress | undefined
  #lastStep = { loss: 0, accuracy: 0 }
  /** Of the epoch, up to the last step and up to the last point. */
  #sums = NONE
  #drawn = NONE
  #images = 0
  #times: { readonly at: number; readonly images: number }[] = []

  /**
   * @param size images of an epoch
   * @param now milliseconds that the training has had
   */
  constructor(size: number, { batch, epochs }: Pick<TrainSettings, 'batch' | 'epochs'>, now: () => number) {
    this.#size = size
    this.#batch = batch
    this.#perEpoch = Math.ceil(size / batch)
    this.steps = epochs * this.#perEpoch
    this.#every = Math.max(1, Math.round(this.steps / POINTS))
    this.#now = now
    this.#times.push({ at: now(), images: 0 })
  }

  get started(): boolean {
    return this.#last !== undefined
  }

  add(progress: Progress): void {
    if (progress.epoch !== this.#last?.epoch) this.#sums = this.#drawn = NONE
    this.#last = progress
    const { step, loss, accuracy } = progress
    const isLast = step % this.#perEpoch === 0
    const count = isLast ? this.#size - this.#batch * (this.#perEpoch - 1) : this.#batch
    const images = this.#sums.images + count
    const sums = { images, loss: loss * images, correct: accuracy * images }
    this.#lastStep = between(this.#sums, sums)
    this.#sums = sums
    this.#images += count
    if (step % this.#every && !isLast) return
    this.#points.push({ step, ...between(this.#drawn, sums) })
    this.#drawn = sums
  }

  /** Where the run stands, with the points since the last report. */
  report(): Event {
    const points = this.#points
    this.#points = []
    this.#times.push({ at: this.#now(), images: this.#images })
    if (this.#times.length > WINDOW) this.#times.shift()
    const [first, last] = [this.#times[0]!, this.#times.at(-1)!]
    const imagesPerSecond = (1000 * (last.images - first.images)) / (last.at - first.at)
    const { epoch, epochs, step, steps, lr, loss, accuracy } = this.#last!
    const left =
      epochs * this.#size - ((epoch - 1) * this.#size + (step - (epoch - 1) * this.#perEpoch) * this.#batch)
    const progress: RunProgress = {
      epoch,
      epochs,
      step,
      steps,
      lr,
      stepLoss: this.#lastStep.loss,
      stepAccuracy: this.#lastStep.accuracy,
      loss,
      accuracy,
      imagesPerSecond,
      secondsLeft: Math.max(0, left) / imagesPerSecond,
    }
    return { event: 'progress', progress, points }
  }
}
