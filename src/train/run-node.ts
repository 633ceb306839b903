import { appendFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Normalization } from '../data/dataset.ts'
import { readBytes, reason, writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import type { State } from './executor.ts'
import { type Layout, layoutOf } from './layout.ts'
import { RECORD, type RunRecord, readTraining, TRAINING } from './record.ts'
import type { TrainedModel } from './trained.ts'

/** Files of a run folder. */
export const RUN_FILES = {
  config: 'config.json',
  metrics: 'metrics.jsonl',
  last: 'last.safetensors',
  best: 'best.safetensors',
  model: 'model.onnx',
} as const

/** What `config.json` must hold for a run to be read again; programs add more to it. */
export interface RunConfig {
  readonly model: { readonly name: string; readonly config: object }
  readonly normalization?: Normalization | undefined
  readonly classes: readonly string[]
  readonly [key: string]: unknown
}

const contents = (path: string): Promise<string[]> => readdir(path).catch(() => [])

/** A folder that a run writes into. */
export class RunFolder {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /**
   * The folder of a new run; nothing is made before it begins.
   * @throws UserError when it holds files already, unless `overwrite`
   */
  static async at(path: string, { overwrite = false } = {}): Promise<RunFolder> {
    const present = await contents(path)
    if (present.length && !overwrite)
      throw new UserError(
        `${path} holds ${present.length} files already; choose another --out, or give --overwrite`,
      )
    return new RunFolder(path)
  }

  /** The folder of a run that goes on. */
  static again = (path: string): RunFolder => new RunFolder(path)

  /** `base`, or `base-2`, `base-3`, … where that is taken. */
  static async next(base: string): Promise<RunFolder> {
    for (let i = 1; ; i++) {
      const path = i === 1 ? base : `${base}-${i}`
      if (!(await contents(path)).length) return new RunFolder(path)
    }
  }

  file = (name: keyof typeof RUN_FILES): string => join(this.path, RUN_FILES[name])

  /**
   * Makes the folder and starts the run's records; an older run's files go as they are written anew.
   * @throws UserError when the folder cannot be made
   */
  async begin(config: RunConfig): Promise<void> {
    await mkdir(this.path, { recursive: true }).catch((error: unknown) => {
      throw new UserError(`${this.path} ${reason(error)}; choose another --out`)
    })
    await writeAtomic(this.file('config'), `${JSON.stringify(config, null, 2)}\n`)
    await writeAtomic(this.file('metrics'), '')
  }

  /** Adds a line to `metrics.jsonl`. */
  async record(line: object): Promise<void> {
    await appendFile(this.file('metrics'), `${JSON.stringify(line)}\n`)
  }

  async checkpoint(
    name: 'last' | 'best',
    layout: Layout,
    state: State,
    record: RunRecord,
    training: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const metadata = { [RECORD]: JSON.stringify(record), [TRAINING]: JSON.stringify(training) }
    await writeAtomic(this.file(name), writeCheckpoint(layout, state, metadata))
  }

  async model(bytes: Uint8Array): Promise<void> {
    await writeAtomic(this.file('model'), bytes)
  }
}

/**
 * The trained model of a run folder, from its last (or best) checkpoint.
 * @param build makes a model from its name and configuration
 * @throws UserError when a file is missing or damaged
 */
export async function readRun(
  path: string,
  build: (name: string, config: object) => Model,
  which: 'last' | 'best' = 'last',
): Promise<TrainedModel> {
  const file = join(path, RUN_FILES.config)
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`${file} ${reason(error)}: ${path} is no run folder of onnxgrad`)
  })
  let config: RunConfig
  try {
    config = JSON.parse(text) as RunConfig
  } catch {
    throw new UserError(`${file} is not JSON: the file is damaged`)
  }
  if (typeof config.model?.name !== 'string' || typeof config.model.config !== 'object')
    throw new UserError(`${file} does not say which model was trained`)
  const model = build(config.model.name, config.model.config)
  const checkpoint = join(path, RUN_FILES[which])
  const { state, metadata } = readCheckpoint(
    layoutOf(model.parameters),
    await readBytes(checkpoint),
    checkpoint,
  )
  const training = metadata[TRAINING] ? readTraining(metadata, checkpoint) : undefined
  return {
    model,
    params: state.params!,
    ...(config.normalization ? { normalization: config.normalization } : {}),
    classes: config.classes,
    ...(training ? { training } : {}),
  }
}
