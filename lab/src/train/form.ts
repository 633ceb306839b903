import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { buildModel, MODELS } from '../../../models/index.ts'
import type { PreprocessingKind } from '../../../src/data/preprocess.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { isKey } from '../../../src/graph/keys.ts'
import { parameterCount } from '../../../src/nn/model.ts'
import type { LabClient } from '../client.ts'
import type { DataAbout, DataChoice, TrainSettings } from '../protocol.ts'

// The settings of a training as they are being made: what each field holds, and what is wrong with it.

export const PRESETS = {
  lecture: { label: 'ViT of the lecture', model: 'vit', config: MODELS.vit.presets.lecture },
  small: { label: 'ViT, larger', model: 'vit', config: MODELS.vit.presets.small },
  lenet: { label: 'LeNet-5 (convolutions)', model: 'lenet', config: MODELS.lenet.presets.mnist },
  mlp: { label: 'MLP (one hidden layer)', model: 'mlp', config: MODELS.mlp.presets.small },
} as const
export type Preset = keyof typeof PRESETS

/** A learning rate to begin with. Those of Adam and SGD are what `onnxgrad train` takes. */
const RATES: Readonly<Record<TrainSettings['optimizer'], number>> = {
  adam: 0.002,
  adamw: 0.002,
  sgd: 0.1,
  lion: 0.0003,
}

/** Fields for numbers. Where there is a largest, a page is not the place for more. */
export const NUMBERS = {
  patch: { label: 'Patch', unit: 'px', most: 1024 },
  dim: { label: 'Dim', unit: '', most: 4096 },
  depth: { label: 'Depth', unit: '', most: 48 },
  heads: { label: 'Heads', unit: '', most: 256 },
  mlp: { label: 'MLP', unit: '', most: 16384 },
  hidden: { label: 'Hidden', unit: '', most: 16384 },
  lr: { label: 'Learning rate', unit: '', most: 10 },
  epochs: { label: 'Epochs', unit: '', most: 1000 },
  batch: { label: 'Batch', unit: 'images', most: 60000 },
  seed: { label: 'Seed', unit: '', most: 2 ** 31 },
} as const
export type NumberField = keyof typeof NUMBERS

const { lecture } = MODELS.vit.presets
const texts: Readonly<Record<NumberField, Signal<string>>> = {
  patch: signal(String(lecture.patch)),
  dim: signal(String(lecture.dim)),
  depth: signal(String(lecture.depth)),
  heads: signal(String(lecture.heads)),
  mlp: signal(String(lecture.mlp)),
  hidden: signal(String(MODELS.mlp.presets.small.hidden[0])),
  lr: signal(String(RATES.adam)),
  epochs: signal('5'),
  batch: signal('64'),
  seed: signal('0'),
}

export const form = {
  preset: signal<Preset>('lecture'),
  optimizer: signal<TrainSettings['optimizer']>('adam'),
  schedule: signal<NonNullable<TrainSettings['schedule']>>('cosine'),
  device: signal<TrainSettings['device']>('wasm'),
  texts,
  /** Where the examples come from, and how pictures of one's own are made. */
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

export function choosePreset(preset: Preset): void {
  form.preset.value = preset
  for (const [name, value] of Object.entries(PRESETS[preset].config))
    if (isKey(texts, name)) texts[name].value = String(value)
}

export function chooseOptimizer(optimizer: TrainSettings['optimizer']): void {
  form.optimizer.value = optimizer
  texts.lr.value = String(RATES[optimizer])
}

export async function chooseData(lab: LabClient, choice: DataChoice): Promise<void> {
  form.data.value = choice
  await readData(lab)
}

/** Counts what was asked for: slow data must not replace what was chosen after them. */
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

const numberIn = (name: NumberField): number => {
  const text = texts[name].value.trim()
  return text ? Number(text) : Number.NaN
}

/** Which fields the chosen model has. */
export const modelFields: ReadonlySignal<readonly NumberField[]> = computed(() => {
  const { model } = PRESETS[form.preset.value]
  if (model === 'vit') return ['patch', 'dim', 'depth', 'heads', 'mlp']
  return model === 'mlp' ? ['hidden'] : []
})

const divisors = (n: number): string => {
  const all = Array.from({ length: n }, (_, i) => i + 1).filter(d => n % d === 0)
  return all.length > 8
    ? `${all.slice(0, 7).join(', ')} …`
    : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`
}

/** What is wrong with each field. */
export const problems: ReadonlySignal<Readonly<Partial<Record<NumberField, string>>>> = computed(() => {
  const wrong: Partial<Record<NumberField, string>> = {}
  for (const name of [...modelFields.value, 'lr', 'epochs', 'batch', 'seed'] as const) {
    const value = numberIn(name)
    const { most } = NUMBERS[name]
    if (name === 'lr') {
      if (!(value > 0 && value <= most)) wrong[name] = `a number above 0, at most ${most}`
    } else {
      const least = name === 'seed' ? 0 : 1
      if (!Number.isInteger(value) || value < least || value > most)
        wrong[name] = `a whole number from ${least} to ${most.toLocaleString('en-US')}`
    }
  }
  if (!modelFields.value.includes('patch')) return wrong
  const side = sideOf(found.value)
  const [patch, dim, heads] = [numberIn('patch'), numberIn('dim'), numberIn('heads')]
  if (!wrong.patch && side % patch)
    wrong.patch = `does not divide the image’s ${side} pixels: take ${divisors(side)}`
  if (!wrong.heads && !wrong.dim && dim % heads)
    wrong.heads = `cannot share an embedding of ${dim}: take ${divisors(dim)}`
  return wrong
})

const sideOf = (data: Found): number => (data.state === 'ready' ? data.about.shape[1] : form.side.value)

/** What the fields make of the model, and why it cannot be built. */
export const model: ReadonlySignal<{
  readonly name: string
  readonly config: object
  readonly parameters?: number
  readonly problem?: string
}> = computed(() => {
  const { model: name } = PRESETS[form.preset.value]
  const data = found.value
  const [channels, image, width] = data.state === 'ready' ? data.about.shape : [1, 28, 28]
  const classes = data.state === 'ready' ? data.about.classes.length : 10
  const fields = Object.fromEntries(modelFields.value.map(field => [field, numberIn(field)]))
  const config = {
    image,
    channels,
    classes,
    ...(name === 'mlp' ? { hidden: [fields.hidden] } : fields),
  }
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
