import { buildModel } from '../../../models/index.ts'
import { compare, fingerprints } from '../../../src/data/fingerprint.ts'
import { presumedPreprocessing } from '../../../src/data/preprocess.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { type WebDeviceName, webDevices } from '../../../src/runtime/web.ts'
import type { DataChoice, Event, Requests, TrainSettings } from '../protocol.ts'
import { Bases, dataOf } from './base.ts'
import { CurrentModel } from './current-model.ts'
import { aboutData, Data } from './data.ts'
import { imageOf } from './reader.ts'
import { aboutCheckpoint, readCheckpoint, recordFor } from './record.ts'
import { Run, type RunOptions } from './run.ts'
import { shownCheckpoint, shownFile, shownModel } from './shown.ts'
import { openRuntime } from './wasm.ts'

export type Handlers = {
  readonly [K in keyof Requests]: (
    ...args: Requests[K]['args']
  ) => Promise<Requests[K]['value']> | Requests[K]['value']
}

/** The device is gone; only another worker gets it back. */
export class DeviceLost extends Error {
  override readonly name = 'DeviceLost'
}

/** All that the page asks of its worker. */
export function makeLab(tell: (event: Event) => void): Handlers {
  let viewer: ReturnType<typeof openRuntime> | undefined
  const viewing = () => {
    viewer ??= openRuntime('wasm')
    return viewer
  }
  const data = new Data()
  const current = new CurrentModel(tell)
  let run: Run | undefined
  let training = false
  /** Requested while a run is being prepared or in progress. */
  let stopping = false

  const bases = new Bases()

  /** What a training of the page starts from. */
  async function startOf(
    { model: start, settings }: TrainSettings,
    choice: DataChoice,
  ): Promise<Pick<RunOptions, 'settings' | 'model' | 'data'>> {
    if (!('file' in start)) {
      const model = buildModel(start.name, start.config)
      const source = await data.get(choice, imageOf(model))
      return { model, data: source, settings: await recordFor(settings, model, source) }
    }
    const base = bases.need(start.file)
    const found = await data.get(choice, base.input)
    const model = base.modelFor(found.train.classes)
    const source = dataOf(base, model, found)
    const record = await recordFor(settings, model, source)
    const file = { name: base.name, sha256: base.sha256, part: start.part }
    return { model, data: source, settings: { ...record, file } }
  }

  /** Trains to the end, or until it is stopped. @throws DeviceLost */
  async function toTheEnd(
    device: WebDeviceName,
    options: Pick<RunOptions, 'settings' | 'model' | 'data' | 'from'>,
  ): Promise<{ stopped: boolean }> {
    let lose = (_: Error): void => {}
    const gone = new Promise<never>((_, reject) => {
      lose = reject
    })
    // If the run ends first, this is no longer awaited.
    gone.catch(() => {})
    const onLost = (why: string): void => lose(new DeviceLost(`The GPU was lost: ${why.replace(/\.+$/, '')}`))
    const runtime = await openRuntime(device, { onLost })
    const viewer = await viewing()
    run = new Run({ ...options, runtime, viewer, tell, onEpoch: () => current.learned() })
    if (stopping) return { stopped: true }
    await current.put('run', shownModel(viewer, run))
    return await Promise.race([run.train(), gone])
  }

  /** One training at a time. */
  async function alone(work: () => Promise<{ stopped: boolean }>): Promise<{ stopped: boolean }> {
    if (training) throw new UserError('a run is in progress; stop it first')
    training = true
    stopping = false
    try {
      return await work()
    } finally {
      training = false
    }
  }

  const need = (): Run => {
    if (run) return run
    throw new UserError('nothing has been trained here yet')
  }

  return {
    async devices() {
      const { version } = await viewing()
      return { runtime: version, devices: await webDevices() }
    },
    data: async (choice, shape) => aboutData(await data.get(choice, shape)),
    base: (name, bytes) => bases.read(name, bytes),
    inspect: async (name, bytes) => {
      const { record, model } = await readCheckpoint(name, bytes, bases)
      return aboutCheckpoint(record, model)
    },
    train: (settings, choice) =>
      alone(async () => toTheEnd(settings.device, await startOf(settings, choice))),
    resume: ({ device, epochs }, choice, checkpoint) =>
      alone(async () => {
        const { model, state, record } = await readCheckpoint('the checkpoint', checkpoint, bases)
        if (record.valSplit !== undefined)
          throw new UserError(
            'this run uses a validation split; resume it in Node: onnxgrad train --resume RUN',
          )
        const { step: _step, sums, ...settings } = { ...record, epochs }
        const { classes, preprocessing = presumedPreprocessing(imageOf(model), classes) } = record
        const source = await data.get(choice, imageOf(model), preprocessing)
        if (source.fromPictures && !record.preprocessing)
          throw new UserError(
            'onnxgrad 0.1.0 preprocessed the pictures of this run differently; train it again from the start',
          )
        const found = await fingerprints(source)
        const { differences } = record.fingerprints
          ? compare(record.fingerprints, found)
          : { differences: [] }
        if (differences.length) throw new UserError(`these are not the run's data: ${differences.join('; ')}`)
        const { normalization = source.normalization } = record
        return toTheEnd(device, {
          settings: { ...settings, fingerprints: found },
          model,
          // The model's own, even if the data have other values now.
          data: { ...source, normalization, preprocessing },
          from: { ...state, ...(sums ? { sums } : {}) },
        })
      }),
    pause() {
      run?.gate.pause()
    },
    continue() {
      run?.gate.continue()
    },
    stop() {
      stopping = true
      run?.stop()
    },
    async open(name, bytes) {
      const runtime = await viewing()
      const shown = name.endsWith('.safetensors')
        ? await shownCheckpoint(runtime, name, bytes, bases)
        : await shownFile(runtime, name, bytes)
      return current.put('file', shown)
    },
    use: which => current.use(which),
    look: (pixels, deep) => current.look(pixels, deep),
    positions: () => current.positions(),
    async example(index) {
      const { test } = await data.current()
      const size = test.images.length / test.size
      const at = ((index % test.size) + test.size) % test.size
      const pixels = Float32Array.from(test.images.subarray(at * size, (at + 1) * size), v => v / 255)
      return { pixels, label: Number(test.labels[at]), count: test.size }
    },
    onnx: () => current.onnx(),
    async checkpoint() {
      await need().reach()
      return need().checkpoint()
    },
  }
}
