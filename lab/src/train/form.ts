import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { buildModel, MODELS } from '../../../models/index.ts'
import type { ImageShape, PreprocessingKind } from '../../../src/data/preprocess.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { isKey, keysOf } from '../../../src/graph/keys.ts'
import { lookup, nth, present } from '../../../src/graph/present.ts'
import { parameterCount } from '../../../src/nn/model.ts'
import { optimizerOf } from '../../../src/optim/optimizer.ts'
import { SETTINGS } from '../../../src/runs/settings.ts'
import { problemOf, type Schema, type Setting, type SettingField } from '../../../src/settings/setting.ts'
import type { LabClient, OpenFile } from '../client.ts'
import type { DataAbout, DataChoice, TrainSettings } from '../protocol.ts'
import { base, baseInput, misfitOf, part, readBase } from './base.ts'

// The form's state: the value of each field, and what is wrong with it.

interface Preset {
  readonly label: string
  readonly model: string
  readonly config: object
  readonly settings: Readonly<Record<string, Setting>>
}

/** The presets that models offer to pages; a model's first one has its name. */
export const PRESETS: Readonly<Record<string, Preset>> = Object.fromEntries(
  keysOf(MODELS).flatMap(model => {
    const { settings, presets, ...entry } = MODELS[model]
    const pages = 'pages' in entry ? Object.entries<string>(entry.pages) : []
    return pages.map(([preset, label], i): [string, Preset] => [
      i ? `${model}-${preset}` : model,
      { label, model, config: lookup<object>(presets, preset), settings },
    ])
  }),
)
const FIRST = nth(Object.keys(PRESETS), 0)
/** Where the name of a preset stands, a file to fine-tune. */
export const FILE = 'file'

/** The settings of a training that have a field here. */
export const TRAINING: Schema = Object.fromEntries(
  Object.entries<Setting>(SETTINGS).filter(([, { field }]) => field),
)

const fieldsOf = ({ settings }: Preset): readonly [string, Setting][] =>
  Object.entries(settings).filter(([, { field }]) => field)

/** All settings that have a field. */
const FIELDS: Schema = { ...Object.fromEntries(Object.values(PRESETS).flatMap(fieldsOf)), ...TRAINING }
const settingOf = (name: string): Setting => lookup(FIELDS, name)
export const fieldOf = (name: string): SettingField => present(settingOf(name).field, name)

/** Whether a field takes whole numbers only. */
export const isWhole = (name: string): boolean => {
  const setting = settingOf(name)
  return (setting.kind === 'number' || setting.kind === 'numbers') && setting.whole === true
}

/** What each field holds, as text; `on` is that of a switch. */
const texts: Readonly<Record<string, Signal<string>>> = Object.fromEntries(
  Object.entries(FIELDS).map(([name, { default: value }]) => [name, signal(String(value ?? ''))]),
)
export const textOf = (name: string): Signal<string> => lookup(texts, name)

export const form = {
  preset: signal(FIRST),
  device: signal<TrainSettings['device']>('wasm'),
  /** The choice of data, and the preprocessing of your own pictures. */
  data: signal<DataChoice>({ kind: 'bundled' }),
  side: signal(28),
  channels: signal<1 | 3>(1),
  preprocess: signal<PreprocessingKind>('resize'),
} as const

/** What was found in the chosen data. */
export type Found =
  | { readonly state: 'reading' }
  | { readonly state: 'failed'; readonly reason: string }
  | { readonly state: 'ready'; readonly about: DataAbout }
export const found: Signal<Found> = signal({ state: 'reading' })

/** Undefined for a file. */
const chosen = (): Preset | undefined => PRESETS[form.preset.value]

export function choosePreset(preset: string): void {
  form.preset.value = preset
  for (const [name, value] of Object.entries(chosen()?.config ?? {}))
    if (isKey(texts, name)) textOf(name).value = String(value)
}
choosePreset(FIRST)

/** Changes a setting; another optimizer comes with a learning rate of its own. */
export function choose(name: string, text: string): void {
  textOf(name).value = text
  if (name === 'optimizer') textOf('lr').value = String(optimizerOf(text).lr)
}
choose('optimizer', textOf('optimizer').value)

/** What pictures are made into: what the file takes that is fine-tuned, else as chosen. */
const pictureShape = (): ImageShape => {
  const { channels, side, preset } = form
  return (preset.value === FILE ? baseInput.value : undefined) ?? [channels.value, side.value, side.value]
}

/** Changes the model; pictures are read again where they are made into others for it. */
export async function chooseModel(lab: LabClient, preset: string): Promise<void> {
  const before = pictureShape()
  choosePreset(preset)
  await readAgain(lab, before)
}

async function readAgain(lab: LabClient, before: ImageShape): Promise<void> {
  if (form.data.value.kind === 'folders' && pictureShape().join() !== before.join()) await readData(lab)
}

/** Makes a file the model that is trained. */
export async function chooseBase(lab: LabClient, file: OpenFile): Promise<void> {
  const before = pictureShape()
  choosePreset(FILE)
  await readBase(lab, file)
  await readAgain(lab, before)
}

/** {@link chooseBase} for a file that was chosen or dropped. */
export async function chooseFile(lab: LabClient, file: File): Promise<void> {
  const bytes = await lab.attempt(file.arrayBuffer())
  if (bytes) await chooseBase(lab, { name: file.name, bytes: new Uint8Array(bytes) })
}

export async function chooseData(lab: LabClient, choice: DataChoice): Promise<void> {
  form.data.value = choice
  await readData(lab)
}

/** Counts requests: slow data must not replace a later choice. */
let asked = 0

/** Reads the chosen data, so that what is wrong with them is said before a training. */
export async function readData(lab: LabClient): Promise<void> {
  const mine = ++asked
  const tell = (now: Found) => {
    if (mine === asked) found.value = now
  }
  tell({ state: 'reading' })
  try {
    tell({ state: 'ready', about: await lab.ask('data', form.data.value, pictureShape()) })
  } catch (error) {
    tell({ state: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
}

const numbersIn = (name: string): readonly number[] =>
  textOf(name)
    .value.split(',')
    .map(text => (text.trim() ? Number(text) : Number.NaN))
const numberIn = (name: string): number => {
  const numbers = numbersIn(name)
  return numbers.length === 1 ? nth(numbers, 0) : Number.NaN
}
const isList = (name: string): boolean => settingOf(name).kind === 'numbers'

/** Which fields the chosen model has. */
export const modelFields: ReadonlySignal<readonly string[]> = computed(() => {
  const preset = chosen()
  return preset ? fieldsOf(preset).map(([name]) => name) : []
})

const divisors = (n: number): string => {
  const all = Array.from({ length: n }, (_, i) => i + 1).filter(d => n % d === 0)
  return all.length > 8
    ? `${all.slice(0, 7).join(', ')} …`
    : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`
}

/** The value of a field. */
function valueIn(name: string): unknown {
  const setting = settingOf(name)
  const text = textOf(name).value
  if (setting.kind === 'numbers') return numbersIn(name)
  if (setting.kind === 'number') return numberIn(name)
  return setting.kind === 'switch' ? text === 'true' : text
}

/** A setting in the range of its field. */
function fieldRange(name: string): Setting {
  const setting = settingOf(name)
  if (setting.kind !== 'number' && setting.kind !== 'numbers') return setting
  const { least = setting.least, most = setting.most } = fieldOf(name)
  return { ...setting, ...(least === undefined ? {} : { least }), ...(most === undefined ? {} : { most }) }
}

/** What is wrong with each field. */
export const problems: ReadonlySignal<Readonly<Record<string, string>>> = computed(() => {
  const wrong: Record<string, string> = {}
  for (const name of [...modelFields.value, ...Object.keys(TRAINING)]) {
    const problem = problemOf(fieldRange(name), valueIn(name))
    if (problem !== undefined) wrong[name] = problem
  }
  if (!wrong.warmup && !wrong.epochs && numberIn('warmup') >= numberIn('epochs'))
    wrong.warmup = `must be below the ${numberIn('epochs')} epochs of the run`
  const has = (...names: string[]) => names.every(name => modelFields.value.includes(name) && !wrong[name])
  const side = sideOf(found.value)
  if (has('patch') && side % numberIn('patch'))
    wrong.patch = `does not divide the image’s ${side} pixels: choose ${divisors(side)}`
  if (has('heads', 'dim') && numberIn('dim') % numberIn('heads'))
    wrong.heads = `does not divide the embedding of ${numberIn('dim')}: choose ${divisors(numberIn('dim'))}`
  return wrong
})

const sideOf = (data: Found): number => (data.state === 'ready' ? data.about.shape[1] : form.side.value)

/** The model that the fields describe, or why it cannot be built; undefined for a file. */
export const model: ReadonlySignal<
  | {
      readonly name: string
      readonly config: object
      readonly parameters?: number
      readonly problem?: string
    }
  | undefined
> = computed(() => {
  const described = chosen()
  if (!described) return undefined
  const { model: name, config: preset } = described
  const data = found.value
  const [channels, image, width] = data.state === 'ready' ? data.about.shape : [1, 28, 28]
  const classes = data.state === 'ready' ? data.about.classes.length : 10
  const fields = modelFields.value.map(field => [field, isList(field) ? numbersIn(field) : numberIn(field)])
  const config = { ...preset, image, channels, classes, ...Object.fromEntries(fields) }
  if (image !== width)
    return { name, config, problem: `the images are ${image} × ${width} pixels; models here take squares` }
  if (modelFields.value.some(field => problems.value[field])) return { name, config }
  try {
    return { name, config, parameters: parameterCount(buildModel(name, config)) }
  } catch (error) {
    return { name, config, problem: error instanceof UserError ? error.message : String(error) }
  }
})

/** The model to train, where there is nothing wrong with it. */
function start(data: DataAbout): TrainSettings['model'] | undefined {
  if (model.value) {
    const { name, config, parameters } = model.value
    return parameters === undefined ? undefined : { name, config }
  }
  if (base.value.state !== 'ready' || misfitOf(base.value.about, data)) return undefined
  const { name, sha256 } = base.value.about
  return { file: { name, sha256 }, part: part.value }
}

/** The settings, where there is nothing wrong with them. */
export const settings: ReadonlySignal<TrainSettings | undefined> = computed(() => {
  const data = found.value
  const own = data.state === 'ready' ? start(data.about) : undefined
  if (!own || Object.keys(problems.value).length) return undefined
  return {
    model: own,
    device: form.device.value,
    settings: Object.fromEntries(Object.keys(TRAINING).map(field => [field, valueIn(field)])),
  }
})
