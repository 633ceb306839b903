import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { codeOf, exists, readBytes, readText } from '../data/files-node.ts'
import type { Preprocessing } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf, isObject } from '../graph/keys.ts'
import type { Normalization } from '../graph/normalization.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { checkFormat, FORMAT_KEY } from '../train/checkpoint.ts'
import type { TrainState } from '../train/state.ts'
import { isFinal, linesUpTo, secondsUpTo } from './lines-node.ts'
import { RECORD, type RecordedModel, type RunRecord, readRecord } from './record.ts'
import { isRecorded } from './recorded.ts'
import { type Build, builtFrom, readSavedBytes, type Saved, savedModel } from './saved.ts'

/** Files of a run folder. */
export const RUN_FILES = {
  config: 'config.json',
  metrics: 'metrics.jsonl',
  steps: 'steps.jsonl',
  last: 'last.safetensors',
  /** The `last` of before. */
  previous: 'previous.safetensors',
  best: 'best.safetensors',
  model: 'model.onnx',
  report: 'report.html',
  /** Names the process that writes into the folder. */
  lock: 'lock',
} as const

/** Files that a run adds lines to, each of a step. */
export const LINES = ['metrics', 'steps'] as const

/** What `config.json` must hold for a run to be read again; programs add more to it. */
export interface RunConfig {
  readonly model: RecordedModel
  /** The module that defines the run, of a user's own. */
  readonly module?: string
  readonly normalization?: Normalization | undefined
  readonly preprocessing?: Preprocessing | undefined
  readonly classes: readonly string[]
  /** Which data, as settings name them. */
  readonly source?: Readonly<Record<string, unknown>>
  readonly [key: string]: unknown
}

/** Tells a user of something that is no reason to stop. */
export type Notice = (line: string) => void

/** @throws UserError when the file cannot be read, or is damaged */
export const readSaved = async (file: string, build: Build): Promise<Saved> =>
  readSavedBytes(await readBytes(file), file, build)

/** @throws UserError when there is none, or it is damaged */
export async function readConfig(folder: string): Promise<RunConfig> {
  const file = join(folder, RUN_FILES.config)
  const text = await readText(file)
  if (text === undefined && (await isFile(folder)))
    throw new UserError(
      `${folder} is a file, not a run folder${basename(folder) === RUN_FILES.model ? `; give its folder, ${dirname(folder)}` : ''}`,
    )
  if (text === undefined)
    throw new UserError(`${file} does not exist: ${folder} is not a run folder of onnxgrad`)
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    throw new UserError(`${file} is not JSON: the file is damaged`)
  }
  if (!namesModel(config))
    throw new UserError(`${file} does not say which model was trained: the file is damaged`)
  checkFormat(file, config[FORMAT_KEY])
  return config
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    entry => entry.isFile(),
    () => false,
  )

const namesModel = (config: unknown): config is RunConfig => {
  const { name, config: settings } = fieldsOf(fieldsOf(config).model)
  return typeof name === 'string' && isObject(settings)
}

/** For damage there may be a remedy; what may not be read is not damaged. */
function damageOf(error: unknown): string {
  if (!(error instanceof UserError) || ['EACCES', 'EPERM'].includes(codeOf(error.cause))) throw error
  return error.message
}

/**
 * The last checkpoint of a run folder, or the one before where that is missing or damaged, which `notice` then says;
 * undefined where none was saved yet.
 * @throws UserError when neither is whole, or it is not of the model that the folder's settings name
 */
export async function readNewest(
  folder: string,
  config: RunConfig,
  build: Build,
  notice: Notice,
): Promise<Saved | undefined> {
  const files = [RUN_FILES.last, RUN_FILES.previous].map(name => join(folder, name))
  const damages: string[] = []
  for (const file of files) {
    const saved = await readSaved(file, build).catch(damageOf)
    if (typeof saved === 'string') damages.push(saved)
    else {
      await checkModel(saved, folder, config, build)
      if (damages.length) notice(`${damages[0]}; step ${saved.record.step} of ${file} is taken instead`)
      return saved
    }
  }
  const saved = await Promise.all(files.map(exists))
  if (saved.some(Boolean)) throw new UserError(damages.join('; '))
  return undefined
}

async function checkModel(
  { file, model }: Saved,
  folder: string,
  config: RunConfig,
  build: Build,
): Promise<void> {
  const { model: own } = await builtFrom(build, config)
  if (own.name !== model.name || JSON.stringify(own.config) !== JSON.stringify(model.config))
    throw new UserError(
      `${file} belongs to another model than ${join(folder, RUN_FILES.config)}; put a checkpoint of this run there`,
    )
}

/** The record of a run that has not begun, of its `config.json`. @param file what errors call it */
export function configRecord(config: RunConfig, file: string): RunRecord {
  // Settings of before checkpoint format 2 say `images`, which readRecord knows.
  const settings = Object.entries(config).filter(([key]) => isRecorded(key))
  const { name, config: own } = config.model
  const record = { ...Object.fromEntries(settings), model: { name, config: own }, step: 0 }
  return readRecord({ [RECORD]: JSON.stringify(record) }, file)
}

/** Where a run stands that is resumed. */
export interface Resumable {
  /** Of the newest checkpoint, else of the settings, at step 0. */
  readonly record: RunRecord
  readonly model: Model
  /** None where no checkpoint was saved yet. */
  readonly state?: TrainState
  /** The checkpoint of the best epoch that the record names. */
  readonly best?: Saved
  /** What is there of that which is made of a run that has come to its end. */
  readonly finished: { readonly model: boolean; readonly report: boolean }
  readonly config: RunConfig
  /** Time of the run so far, in seconds. */
  readonly seconds: number
  /** Files that are written again before the run resumes, by path. */
  readonly repairs: ReadonlyMap<string, Uint8Array | string>
}

/** Reads from its folder all that a run needs to resume; changes nothing. @throws UserError */
export async function readResumable(folder: string, build: Build, notice: Notice): Promise<Resumable> {
  const file = (name: keyof typeof RUN_FILES) => join(folder, RUN_FILES[name])
  const config = await readConfig(folder)
  const newest = await readNewest(folder, config, build, notice)
  const record = newest?.record ?? configRecord(config, file('config'))
  const repairs = new Map<string, Uint8Array | string>()
  if (!newest) notice(`${folder} has no checkpoint yet; its training starts from the beginning`)
  else if (newest.file !== file('last')) repairs.set(file('last'), newest.bytes)
  for (const name of LINES) repairs.set(file(name), await linesUpTo(file(name), record.step))
  const seconds = await secondsUpTo(file('metrics'), record.step)
  const final = await isFinal(file('metrics'))
  const made = async (name: 'model' | 'report') => final && (await exists(file(name)))
  const finished = { model: await made('model'), report: await made('report') }
  const { model } = newest ?? (await builtFrom(build, record))
  const about = {
    record,
    model,
    finished,
    config,
    seconds,
    repairs,
    ...(newest ? { state: newest.state } : {}),
  }
  if (!newest || !record.best) return about
  const best = await readBest(folder, build).catch(damageOf)
  if (typeof best !== 'string') {
    await checkModel(best, folder, config, build)
    return { ...about, best }
  }
  const same = record.best.step === record.step
  const other = same
    ? `${newest.file} is of the same step`
    : 'the best of the epochs to come is taken instead'
  notice(`${best}; ${other}`)
  if (!same) return about
  repairs.set(file('best'), newest.bytes)
  return { ...about, best: newest }
}

/**
 * The trained model of a run folder: of the last checkpoint, of the best one, or, left out, of that which the run answers
 * with, as `fit` does: the best where there is a validation set, else the last.
 * @throws UserError when a file is missing or damaged, and no other can stand in for it
 */
export const readRun = async (
  folder: string,
  build: Build,
  which?: 'last' | 'best',
  notice?: Notice,
): Promise<TrainedModel> => savedModel(await readCheckpointOf(folder, build, which, notice))

/** The checkpoint that {@link readRun} reads. */
export async function readCheckpointOf(
  folder: string,
  build: Build,
  which?: 'last' | 'best',
  notice: Notice = () => {},
): Promise<Saved> {
  const config = await readConfig(folder)
  const saved =
    which === 'best'
      ? await readBest(folder, build)
      : await readNewest(folder, config, build, notice).then(newest =>
          newest && which !== 'last' ? answerOf(newest, folder, build, notice) : newest,
        )
  if (!saved)
    throw new UserError(`${folder} has no checkpoint yet; resume it with: onnxgrad train --resume ${folder}`)
  await checkModel(saved, folder, config, build)
  return saved
}

const readBest = (folder: string, build: Build): Promise<Saved> =>
  readSaved(join(folder, RUN_FILES.best), build)

async function answerOf(newest: Saved, folder: string, build: Build, notice: Notice): Promise<Saved> {
  if (!newest.record.best) return newest
  const best = await readBest(folder, build).catch(damageOf)
  if (typeof best !== 'string') return 'valAccuracy' in best.training ? best : newest
  notice(`${best}; step ${newest.record.step} of ${newest.file} is taken instead`)
  return newest
}
