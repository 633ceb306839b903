import { nth, present } from '../../../src/graph/present.ts'
import type { Measured } from '../../../src/train/measured.ts'
import type { Progress } from '../../../src/train/progress.ts'
import type { CurvePoint, Event, RunProgress } from '../protocol.ts'
import type { RunSettings } from './record.ts'

/** Approximate number of points of a curve, for a run of any length. */
const POINTS = 400
/** Number of reports that the speed is averaged over. */
const WINDOW = 20

/** Sums over images. */
interface Sums {
  readonly images: number
  readonly loss: number
  readonly correct: number
}
const NONE: Sums = { images: 0, loss: 0, correct: 0 }

/** Metrics of a classifier. */
export const scoresOf = ({ loss, accuracy = Number.NaN }: Measured) => ({ loss, accuracy })

/** What a trainer says after each step, as points of curves and a speed. */
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
  /** Of the steps since the last point. */
  #since = NONE
  #images = 0
  /** Milliseconds of evaluation so far, which are no part of the speed of steps, and of how many epochs. */
  #evaluation = 0
  #evaluations = 0
  #stepped = 0
  #times: { readonly at: number; readonly images: number }[] = []

  /**
   * @param size images of an epoch @param batch images of a step
   * @param now milliseconds that the training has had
   */
  constructor(size: number, { batch, epochs }: Pick<RunSettings, 'batch' | 'epochs'>, now: () => number) {
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

  /** Called after the evaluation that follows an epoch's last step. */
  evaluated(): void {
    this.#evaluation += this.#now() - this.#stepped
    this.#evaluations++
  }

  add(progress: Progress): void {
    this.#last = progress
    this.#stepped = this.#now()
    const { step } = progress
    const isLast = step % this.#perEpoch === 0
    const count = isLast ? this.#size - this.#batch * (this.#perEpoch - 1) : this.#batch
    const { loss, accuracy } = scoresOf(progress.last)
    const before = this.#since
    const images = before.images + count
    const sums = { images, loss: before.loss + loss * count, correct: before.correct + accuracy * count }
    this.#since = sums
    this.#images += count
    if (step % this.#every && !isLast) return
    this.#points.push({ step, loss: sums.loss / images, accuracy: sums.correct / images })
    this.#since = NONE
  }

  /** Seconds. */
  get #perEvaluation(): number {
    return this.#evaluations ? this.#evaluation / this.#evaluations / 1000 : 0
  }

  /** Where the run stands, with the points since the last report. */
  report(): Event {
    const points = this.#points
    this.#points = []
    this.#times.push({ at: this.#now() - this.#evaluation, images: this.#images })
    if (this.#times.length > WINDOW) this.#times.shift()
    const [first, last] = [nth(this.#times, 0), nth(this.#times, -1)]
    const imagesPerSecond = (1000 * (last.images - first.images)) / (last.at - first.at)
    const { epoch, epochs, step, lr, mean, last: own } = present(this.#last, 'progress')
    const left =
      epochs * this.#size - ((epoch - 1) * this.#size + (step - (epoch - 1) * this.#perEpoch) * this.#batch)
    const { loss: stepLoss, accuracy: stepAccuracy } = scoresOf(own)
    const progress: RunProgress = {
      epoch,
      epochs,
      step,
      steps: this.steps,
      lr,
      stepLoss,
      stepAccuracy,
      ...scoresOf(mean),
      imagesPerSecond,
      secondsLeft: Math.max(0, left) / imagesPerSecond + (epochs - epoch) * this.#perEvaluation,
    }
    return { event: 'progress', progress, points }
  }
}
