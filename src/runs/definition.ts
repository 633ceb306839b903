import type { DataSource } from '../data/dataset.ts'
import { type SourceInput, sourceOf } from '../data/source.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf, keysOf, picked } from '../graph/keys.ts'
import type { Model } from '../nn/model.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { NamePattern } from '../optim/patterns.ts'
import type { Schedule } from '../optim/schedule.ts'
import { checkSettings, type Schema, type ValuesOf } from '../settings/setting.ts'
import { classification } from '../tasks/classification.ts'
import type { Task } from '../tasks/task.ts'
import { portsOf } from '../train/examples.ts'
import type { FitOptions } from '../train/fit-options.ts'
import type { RunRecord } from './record.ts'
import { OPTIMIZER_SETTINGS, SETTINGS, type Settings } from './settings.ts'

/** Whoever carries out a run, and how it is spoken to. */
export interface Context {
  /** What messages call a setting: its name, or its flag. */
  readonly label: (name: string) => string
  /** Tells of something that is no reason to stop. */
  readonly notice: (line: string) => void
}

/** How a run speaks to whoever started it: under the names of settings, and on the console, unless they say otherwise. */
export const messages = (options: {
  readonly onNotice?: Context['notice'] | undefined
  readonly label?: Context['label'] | undefined
}): Context => ({
  label: options.label ?? (name => name),
  notice: options.onNotice ?? (line => console.warn(`onnxgrad: ${line}`)),
})

/** Values of all kinds of settings by name; a setting that is left out is not there, or undefined. */
export type SettingValues = Readonly<Record<string, unknown>>

/** Options of `fit` that only a program can give: a file of settings cannot hold them. */
export type ProgramOptions = Pick<FitOptions, 'train' | 'freeze' | 'stepsPerEpoch' | 'cacheFeatures'>

/** A model, and which of its parameters are trained. */
export interface Built {
  readonly model: Model
  readonly program?: ProgramOptions | undefined
}

/** What a run trains, for what, and on what, for certain values of its settings. */
export interface Prepared {
  readonly model: Model
  /** Settings of the model, from which it can be built again; as JSON. */
  readonly config: object
  /** What the model is called beside its name, such as its preset. */
  readonly label?: string | undefined
  readonly task: Task
  readonly data: DataSource
  /** The validation split that `data` has; its definition may leave it to the data. */
  readonly valSplit?: number | undefined
  /** Values of common settings that were decided where nobody gave them; they are recorded. */
  readonly settings?: SettingValues | undefined
  /** Which data, as settings name them. */
  readonly source?: SettingValues | undefined
  readonly optimizer?: Optimizer | undefined
  readonly schedule?: Schedule | undefined
  readonly program?: ProgramOptions | undefined
}

/** How a run is opened again. */
export interface Reopening extends Context {
  /** Settings that are given now. */
  readonly changes: SettingValues
  /** Whether the run has a state to resume from; otherwise it needs its initial weights. */
  readonly begun: boolean
}

/**
 * What can be trained by its name, or as the default export of a module: `trainRun`, `searchRuns` and `onnxgrad train` take it.
 * `defineRun` makes one.
 */
export interface Definition {
  /** What folders and messages call it. */
  readonly name: string
  /** Its own settings, beside those of every training. */
  readonly settings: Schema
  /** @internal Whether it is a classifier of the data that settings name. */
  readonly classifier: boolean
  /** @internal The module that exports it, by its path, where that is known. */
  readonly module?: string
  /** @internal Values to start from in place of the defaults, for what is asked. */
  readonly defaults: (asked: SettingValues) => SettingValues
  /** @internal @param asked what was given @param values that, over recipe and defaults */
  readonly prepare: (asked: SettingValues, values: SettingValues, context: Context) => Promise<Prepared>
  /** @internal The same for a run that is resumed. */
  readonly reopen: (
    record: Omit<RunRecord, 'step'>,
    source: SettingValues,
    context: Reopening,
  ) => Promise<Prepared>
  /** @internal The model from its recorded settings, and which parameters are trained. */
  readonly build: (config: object) => { readonly model: Model; readonly program?: ProgramOptions }
}

/** The settings that a definition takes. */
export const schemaOf = (of: Definition): Schema => combined(of.settings, of.classifier)

const combined = (settings: Schema, classifier: boolean): Schema => ({
  ...Object.fromEntries(Object.entries<Schema[string]>(SETTINGS).filter(([, { of }]) => !of || classifier)),
  ...settings,
})

/** What `defineRun` is given. `S` are the run's own settings. */
export interface RunSpec<S extends Schema = Schema, M extends Model = Model> {
  /** What folders and messages call it. @default the model's name */
  readonly name?: string
  /** Settings of your own: they become flags, and dimensions of a search. */
  readonly settings?: S
  /** The model; a function of the run's own settings, where it depends on them. */
  readonly model: M | ((settings: Own<S>) => M)
  /** What it is trained for. @default classification() for a model with an output `logits` */
  readonly task?: Task | ((model: M, settings: Own<S>) => Task) | undefined
  /** What it is trained on; a function is called once per run. */
  readonly data: SourceInput | ((settings: Own<S>) => SourceInput | Promise<SourceInput>)
  /** Names of the parameters to train. @default all */
  readonly train?: NamePattern | readonly NamePattern[] | undefined
  /** Names of parameters that are not trained. @default none */
  readonly freeze?: NamePattern | readonly NamePattern[] | undefined
  /** Steps per epoch, for data of unknown size. */
  readonly stepsPerEpoch?: number | undefined
  /** Values of common settings to start from, such as `epochs`, in place of their defaults. */
  readonly defaults?: Partial<Settings>
  /** An optimizer that settings cannot describe, such as one with groups. @default by `optimizer`, `lr`, … */
  readonly optimizer?: Optimizer | ((settings: Own<S>) => Optimizer) | undefined
  /** A schedule that settings cannot describe. @default by `schedule` and `warmup` */
  readonly schedule?: Schedule | ((settings: Own<S>) => Schedule) | undefined
}

/** Values of a run's own settings; those with a default are always there. */
export type Own<S> = ValuesOf<S> & {
  readonly [K in keyof S as S[K] extends { readonly default: unknown } ? K : never]-?: NonNullable<
    ValuesOf<S>[K]
  >
}

const isModel = (value: unknown): value is Model =>
  typeof value === 'function' && 'inputs' in value && 'parameters' in value

/** What a value that may be a function of settings is. */
const resolved = <T, A extends readonly unknown[]>(value: T | ((...args: A) => T), ...args: A): T =>
  typeof value === 'function' && !isModel(value) ? (value as (...args: A) => T)(...args) : (value as T)

/** Settings of an optimizer or schedule that is given as an object. */
const REPLACED = {
  optimizer: ['optimizer', ...Object.keys(OPTIMIZER_SETTINGS)],
  schedule: ['schedule', 'warmup'],
} as const

/**
 * Defines a run of your own: a model, what it is trained for, and its data. Pass it to `trainRun`, or export it as the default of a
 * module and run `onnxgrad train module.ts`: progress, checkpoints, resuming, the report and `tune` work as for the models that come
 * with onnxgrad.
 * @example
 * export default defineRun({
 *   name: 'product',
 *   settings: { hidden: whole('units of the hidden layer', { default: 32 }) },
 *   model: ({ hidden }) => net(hidden),
 *   task: regression(),
 *   data: () => ({ train: points(4000), val: points(500) }),
 *   defaults: { epochs: 20, optimizer: 'adamw', lr: 1e-2 },
 * })
 * @throws UserError for a setting that has the name of a common one
 */
export function defineRun<const S extends Schema = Record<never, never>, M extends Model = Model>(
  spec: RunSpec<S, M>,
): Definition {
  const settings: Schema = spec.settings ?? {}
  const taken = Object.keys(settings).find(name => Object.hasOwn(SETTINGS, name))
  if (taken !== undefined)
    throw new UserError(`settings: every run has a setting ${taken} already; give yours another name`)
  const defaults = { ...defaultsOf(settings), ...spec.defaults }
  checkSettings(combined(settings, false), defaults, name => `defaults: ${name}`)
  const own = (values: SettingValues) => picked(values, Object.keys(settings)) as Own<S>
  const modelOf = (config: Own<S>): M => {
    const model = resolved<M, [Own<S>]>(spec.model, config)
    if (!isModel(model))
      throw new UserError(`model is ${typeof model}; give what \`model()\` returns, or a function that does`)
    return model
  }
  const name = spec.name ?? (isModel(spec.model) ? spec.model.name : 'model')
  const program = { train: spec.train, freeze: spec.freeze, stepsPerEpoch: spec.stepsPerEpoch }

  async function prepare(config: Own<S>): Promise<Prepared> {
    const model = modelOf(config)
    const task = spec.task === undefined ? defaultTask(model) : taskOf(spec.task, model, config)
    const traced = task.trace(model)
    const given = await resolved<SourceInput | Promise<SourceInput>, [Own<S>]>(spec.data, config)
    const data = sourceOf(given, { train: portsOf(traced), evaluate: portsOf(traced.evaluation) })
    const { optimizer, schedule } = spec
    return {
      model,
      config,
      task,
      data: { ...data, origin: data.origin === 'arrays' ? `data of ${name}` : data.origin },
      optimizer: optimizer && resolved(optimizer, config),
      schedule: schedule && resolved(schedule, config),
      program,
    }
  }

  return {
    name,
    settings,
    classifier: false,
    defaults: () => defaults,
    async prepare(asked, values, { label }) {
      for (const key of keysOf(REPLACED)) {
        const stray = REPLACED[key].find(n => asked[n] !== undefined)
        if (stray !== undefined && spec[key])
          throw new UserError(`${label(stray)}: ${name} has its own ${key}; change it there`)
      }
      return prepare(own(values))
    },
    reopen: ({ model }) => prepare(own(fieldsOf(model.config))),
    build: config => ({ model: modelOf(own(fieldsOf(config))), program }),
  }
}

const taskOf = <M, C>(task: Task | ((model: M, config: C) => Task), model: M, config: C): Task =>
  typeof task === 'function' ? task(model, config) : task

function defaultTask(model: Model): Task {
  if (Object.hasOwn(model.outputs, 'logits')) return classification()
  throw new UserError(`${model.name} has no output logits to classify by; give a task, such as regression()`)
}

/** The defaults of a schema. */
export const defaultsOf = (schema: Schema): SettingValues =>
  Object.fromEntries(
    Object.entries(schema).flatMap(([name, setting]) =>
      setting.default === undefined ? [] : [[name, setting.default]],
    ),
  )

/** Whether a value is what `defineRun` makes, such as a module's default export. */
export const isDefinition = (value: unknown): value is Definition => {
  const { name, settings, prepare, build } = fieldsOf(value)
  return (
    typeof name === 'string' &&
    typeof settings === 'object' &&
    typeof prepare === 'function' &&
    typeof build === 'function'
  )
}
