import type { ImageShape } from '../../../src/data/preprocess.ts'
import { lookup } from '../../../src/graph/present.ts'
import { layoutOf } from '../../../src/nn/layout.ts'
import type { Model } from '../../../src/nn/model.ts'
import type { OrtTensors, Runtime } from '../../../src/runtime/session.ts'
import { imageShapeOf, modelInput } from '../../../src/train/classifier.ts'
import { Forward, type HeldParams, holdParams } from '../../../src/train/forward.ts'
import { type StateLayout, wholeLayout } from '../../../src/train/step/state.ts'

/** `[channels, height, width]` of what a model of the page reads. @throws UserError where it reads tokens */
export const imageOf = (model: Model, name = model.name): ImageShape => imageShapeOf(modelInput(model), name)

export interface Reading {
  /** `[count, classes]`, flat. */
  readonly logits: Float32Array
  /** Time of the run. */
  readonly milliseconds: number
}

/** Runs the model on images with the given parameters, so that it can be used during training. */
export class Reader {
  readonly #runtime: Runtime
  readonly #forward: Forward
  readonly #layout: StateLayout
  readonly #shape: ImageShape
  #held: { readonly params: Float32Array; readonly place: HeldParams } | undefined

  /** @throws UserError when the model does not read images */
  constructor(runtime: Runtime, model: Model) {
    this.#runtime = runtime
    this.#shape = imageOf(model)
    this.#layout = wholeLayout(layoutOf(model.parameters))
    this.#forward = new Forward(model, runtime, this.#layout)
  }

  /**
   * The model's outputs.
   * @param params flat, in the model's order; must not change @param images `[count, channels, height, width]`, pixels in [0, 1]
   */
  outputs(params: Float32Array, images: Float32Array): Promise<OrtTensors> {
    if (params !== this.#held?.params) {
      this.#held?.place.release()
      this.#held = { params, place: holdParams(this.#runtime, this.#layout, params) }
    }
    const count = images.length / this.#shape.reduce((a, b) => a * b, 1)
    const image = { data: images, dims: [count, ...this.#shape] }
    return this.#forward.predict({ image }, this.#held.place.of)
  }

  async read(params: Float32Array, images: Float32Array): Promise<Reading> {
    const start = performance.now()
    const { data } = lookup(await this.outputs(params, images), 'logits')
    return { logits: data as Float32Array, milliseconds: performance.now() - start }
  }

  async close(): Promise<void> {
    this.#held?.place.release()
    await this.#forward.close()
  }
}
