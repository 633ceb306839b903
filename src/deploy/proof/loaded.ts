import type { UserBatch } from '../../data/dataset.ts'
import { readOnnx } from '../../export/read.ts'
import { toTyped } from '../../export/tensor-data.ts'
import type { NdArray } from '../../graph/array.ts'
import { fromHalf } from '../../graph/half.ts'
import { lookup } from '../../graph/present.ts'
import type { Feeds, OrtTensor, Runtime, Session } from '../../runtime/session.ts'
import { examplesOf, type Ports } from '../../train/examples.ts'
import { anyBatch, fixedBatch } from '../../train/fixed-batch.ts'
import { inputPorts, type Predictor } from '../../train/predictor.ts'

/** A session that measures its own runs, because asking it takes time that is not the model's. */
export interface SelfTimed extends Session {
  /** Milliseconds of each of so many runs. */
  time(feeds: Feeds, runs: number): Promise<readonly number[]>
}

/** A file on a runtime: it answers any number of examples, and is timed. */
export interface Loaded {
  readonly predictor: Predictor
  /** How many examples the file takes at a time, where it fixes that. */
  readonly fixed: number | undefined
  /** Milliseconds of each of so many runs on a batch; of `fixed` examples, if the file fixes that. */
  timer(batch: UserBatch): (runs: number) => Promise<readonly number[]>
  close(): Promise<void>
}

/** Of half precision, floats as programs have them: float16 arrays are bits. */
function withFloats({ type, data, dims }: OrtTensor): NdArray {
  if (type !== 'float16') return { data, dims }
  // Newer platforms have an array of halfs, whose elements are numbers.
  const numbers = Array.from<unknown, number>({ length: data.length }, (_, i) => Number(data[i]))
  return { data: Float32Array.from(data instanceof Uint16Array ? numbers.map(fromHalf) : numbers), dims }
}

/** Inputs as callers give them: float32 for float16. */
const shownPorts = (ports: Ports): Ports =>
  Object.fromEntries(
    Object.entries(ports).map(([name, port]) => [
      name,
      port.dtype === 'float16' ? { ...port, dtype: 'float32' } : port,
    ]),
  )

/** What a file reads of a batch: under its names; an only input takes an only array of another name. */
export function pick(inputs: Ports, batch: UserBatch): UserBatch {
  const names = Object.keys(inputs)
  const given = Object.entries(batch)
  if (names.every(name => Object.hasOwn(batch, name)))
    return Object.fromEntries(given.filter(([name]) => names.includes(name)))
  const others = given.filter(([name]) => name !== 'label')
  const [[, only] = [], ...more] = others
  const [name, ...rest] = names
  return name !== undefined && only !== undefined && !more.length && !rest.length ? { [name]: only } : batch
}

/** Loads a file, and says what it reads. @throws UserError when the runtime refuses it */
export async function loadFile(runtime: Runtime, bytes: Uint8Array, name: string): Promise<Loaded> {
  const ports = inputPorts(readOnnx(bytes, name), name)
  const inputs = shownPorts(ports)
  const session = await runtime.load(bytes)
  const feedsOf = (given: UserBatch): Record<string, OrtTensor> => {
    const { arrays } = examplesOf(name, inputs, pick(inputs, given), false)
    return Object.fromEntries(
      Object.entries(arrays).map(([key, { data, dims }]) => {
        const { dtype } = lookup(ports, key)
        const halved =
          dtype === 'float16' ? toTyped(Array.from(data as Float32Array), dtype, data.length) : data
        return [key, runtime.tensor(dtype, halved, dims)]
      }),
    )
  }
  const predictor = anyBatch({
    ...{ inputs, outputs: session.outputs, classes: undefined },
    async run(given: UserBatch) {
      const got = await session.run(feedsOf(given))
      return Object.fromEntries(Object.entries(got).map(([key, t]) => [key, withFloats(t)]))
    },
    close: () => session.close(),
  })
  return {
    predictor: { ...predictor, run: given => predictor.run(pick(inputs, given)) },
    fixed: fixedBatch(inputs),
    timer(batch) {
      const feeds = feedsOf(batch)
      return runs => timed(session, feeds, runs)
    },
    close: () => session.close(),
  }
}

const isSelfTimed = (session: Session): session is SelfTimed => 'time' in session

async function timed(session: Session, feeds: Feeds, runs: number): Promise<readonly number[]> {
  if (isSelfTimed(session)) return session.time(feeds, runs)
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const begin = performance.now()
    await session.run(feeds)
    times.push(performance.now() - begin)
  }
  return times
}
