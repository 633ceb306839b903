import { UserError } from '../../../src/graph/errors.ts'
import type { Event, Look, ModelAbout, Stage } from '../protocol.ts'
import { softmax } from '../see/maths.ts'
import type { Shown } from './shown.ts'

type Which = 'file' | 'run'

/** The model that the page looks at: a file, or what the run has made so far. */
export class CurrentModel {
  readonly #tell: (event: Event) => void
  readonly #models: { file?: Shown; run?: Shown } = {}
  #which: Which = 'file'
  #last: Promise<unknown> = Promise.resolve()

  constructor(tell: (event: Event) => void) {
    this.#tell = tell
  }

  /** Puts another model in the place of the file or of the run, and makes it the current one. */
  async put(which: Which, model: Shown): Promise<ModelAbout> {
    const before = this.#models[which]
    this.#models[which] = model
    const about = this.use(which)
    await this.#inTurn(async () => {
      await before?.insides?.close()
      await before?.close()
    })
    return about
  }

  /** @throws UserError where there is none */
  use(which: Which): ModelAbout {
    const { about } = this.#need(which)
    this.#which = which
    this.#tell({ event: 'model', about, which })
    return about
  }

  /** Reports the current model again if it is the run's. */
  learned(): void {
    if (this.#which === 'run') this.use('run')
  }

  look(pixels: Float32Array, deep: boolean): Promise<Look> {
    return this.#inTurn(async () => {
      const model = this.#need()
      const [channels, height, width] = model.about.input
      if (pixels.length !== channels * height * width)
        throw new UserError(
          `${model.about.name}: takes images of ${channels} × ${height} × ${width} (channels × height × width), not ${pixels.length} pixels`,
        )
      const { logits: scores, milliseconds } = await model.read(pixels)
      // Copied: what a session puts out may lie in memory that it uses again.
      const logits = scores.slice()
      if (!logits.every(Number.isFinite))
        throw new UserError(
          `${model.about.name}: some of its scores are not finite; the file is damaged or its training diverged`,
        )
      const inside = deep ? await model.insides?.look(await model.params(), pixels) : undefined
      return { logits, probabilities: softmax(logits), milliseconds, ...inside }
    })
  }

  positions(): Promise<Stage> {
    return this.#inTurn(async () => {
      const model = this.#need()
      if (!model.insides)
        throw new UserError(`${model.about.name}: has no position embeddings; only a ViT has them`)
      return model.insides.positions(await model.params())
    })
  }

  onnx(): Promise<Uint8Array> {
    return this.#need().onnx()
  }

  #need(which = this.#which): Shown {
    const model = this.#models[which]
    if (model) return model
    throw new UserError('there is no model yet; train one, or open an .onnx file')
  }

  /** A model is not closed while somebody looks at it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }
}
