import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { buildModel, MODELS } from '../../../models/index.ts'
import type { PreprocessingKind } from '../../../src/data/preprocess.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { isKey, keysOf } from '../../../src/graph/keys.ts'
import { lookup, nth } from '../../../src/graph/present.ts'
import { parameterCount } from '../../../src/nn/model.ts'
import { type OptimizerName, optimizerOf } from '../../../src/optim/optimizer.ts'
import type { Setting, SettingField } from '../../../src/settings/setting.ts'
import type { LabClient } from '../client.ts'
import type { DataAbout, DataChoice, TrainSettings } from '../protocol.ts'

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

/** The initial learning rate: that of `onnxgrad train`. */
const rateOf = (optimizer: OptimizerName): string => String(optimizerOf(optimizer).lr)

const TRAINING = {
  lr: { label: 'Learning rate', most: 10 },
  epochs: { label: 'Epochs', most: 1000 },
  batch: { label: 'Batch', unit: 'images', most: 60000 },
  seed: { label: 'Seed', most: 2 ** 31 },
} as const satisfies Readonly<Record<string, SettingField>>

const fieldsOf = ({ settings }: Preset): readonly [string, SettingField][] =>
  Object.entries(settings).flatMap(([name, { field }]): [string, SettingField][] =>
    field ? [[name, field]] : [],
  )

/** Fields for numbers. */
const FIELDS: Readonly<Record<string, SettingField>> = {
  ...Object.fromEntries(Object.values(PRESETS).flatMap(fieldsOf)),
  ...TRAINING,
}
export const fieldOf = (name: string): SettingField => lookup(FIELDS, name)

const texts: Readonly<Record<string, Signal<string>>> = Object.fromEntries(
  Object.keys(FIELDS).map(name => [name, signal('')]),
)
export const textOf = (name: string): Signal<string> => lookup(texts, name)
for (const [name, text] of Object.entries({ lr: rateOf('adam'), epochs: '5', batch: '64', seed: '0' }))
  textOf(name).value = text

export const form = {
  preset: signal(FIRST),
  optimizer: signal<OptimizerName>('adam'),
  schedule: signal<NonNullable<TrainSettings['schedule']>>('cosine'),
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

const chosen = (): Preset => lookup(PRESETS, form.preset.value)

export function choosePreset(preset: string): void {
  form.preset.value = preset
  for (const [name, value] of Object.entries(chosen().config))
    if (isKey(texts, name)) textOf(name).value = String(value)
}
choosePreset(FIRST)

export function chooseOptimizer(optimizer: OptimizerName): void {
  form.optimizer.value = optimizer
  textOf('lr').value = rateOf(optimizer)
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
    const size = { channels: form.channels.value, side: form.side.value }
    tell({ state: 'ready', about: await lab.ask('data', form.data.value, size) })
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
const isList = (name: string): boolean => chosen().settings[name]?.kind === 'numbers'

/** Which fields the chosen model has. */
export const modelFields: ReadonlySignal<readonly string[]> = computed(() =>
  fieldsOf(chosen()).map(([name]) => name),
)

const divisors = (n: number): string => {
  const all = Array.from({ length: n }, (_, i) => i + 1).filter(d => n % d === 0)
  return all.length > 8
    ? `${all.slice(0, 7).join(', ')} …`
    : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`
}

/** What is wrong with each field. */
export const problems: ReadonlySignal<Readonly<Record<string, string>>> = computed(() => {
  const wrong: Record<string, string> = {}
  for (const name of [...modelFields.value, ...Object.keys(TRAINING)]) {
    const values = isList(name) ? numbersIn(name) : [numberIn(name)]
    const { most = Number.POSITIVE_INFINITY } = fieldOf(name)
    if (name === 'lr') {
      if (!values.every(value => value > 0 && value <= most))
        wrong[name] = `a number above 0, at most ${most}`
    } else {
      const least = name === 'seed' ? 0 : 1
      if (!values.every(value => Number.isInteger(value) && value >= least && value <= most))
        wrong[name] =
          `${isList(name) ? 'whole numbers' : 'a whole number'} from ${least} to ${most.toLocaleString('en-US')}`
    }
  }
  const has = (...names: string[]) => names.every(name => modelFields.value.includes(name) && !wrong[name])
  const side = sideOf(found.value)
  if (has('patch') && side % numberIn('patch'))
    wrong.patch = `does not divide the image’s ${side} pixels: take ${divisors(side)}`
  if (has('heads', 'dim') && numberIn('dim') % numberIn('heads'))
    wrong.heads = `cannot share an embedding of ${numberIn('dim')}: take ${divisors(numberIn('dim'))}`
  return wrong
})

const sideOf = (data: Found): number => (data.state === 'ready' ? data.about.shape[1] : form.side.value)

/** The model that the fields describe, or why it cannot be built. */
export const model: ReadonlySignal<{
  readonly name: string
  readonly config: object
  readonly parameters?: number
  readonly problem?: string
}> = computed(() => {
  const { model: name, config: preset } = chosen()
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

/** The settings, where there is nothing wrong with them. */
export const settings: ReadonlySignal<TrainSettings | undefined> = computed(() => {
  const { name, config, parameters } = model.value
  if (parameters === undefined || found.value.state !== 'ready' || Object.keys(problems.value).length)
    return undefined
  return {
    model: { name, config },
    device: form.device.value,
    epochs: numberIn('epochs'),
    batch: numberIn('batch'),
    optimizer: form.optimizer.value,
    lr: numberIn('lr'),
    schedule: form.schedule.value,
    seed: numberIn('seed'),
  }
})
