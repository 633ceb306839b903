import { basename, extname } from 'node:path'
import { type Augmentation, augmentation } from '../data/augment.ts'
import type { DataSource } from '../data/dataset.ts'
import { fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import { defined, fieldsOf } from '../graph/keys.ts'
import type { Model } from '../nn/model.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { Schedule } from '../optim/schedule.ts'
import { defaultDevice } from '../runtime/node.ts'
import { checkSettings } from '../settings/setting.ts'
import type { Task } from '../tasks/task.ts'
import { monitorFor } from '../train/fit.ts'
import type { RunState } from '../train/progress.ts'
import { answeringParams } from '../train/state.ts'
import { augmentOptions } from './classifier-task.ts'
import {
  type Context,
  type Definition,
  defaultsOf,
  type Prepared,
  type ProgramOptions,
  type SettingValues,
  schemaOf,
} from './definition.ts'
import { recordedBuild, recordedDefinition } from './definition-node.ts'
import { RunFolder } from './folder-node.ts'
import { isFolder } from './is-folder-node.ts'
import { optimizerFor, scheduleFor } from './method.ts'
import { withRecipe } from './recipes.ts'
import { type RunRecord, recordedOptimizer, recordedSchedule, stepsPerEpoch } from './record.ts'
import { executionOf, recordOf } from './recorded.ts'
import { refuseOtherData } from './same-data.ts'
import { refuseOtherSettings, settingsOf } from './same-settings.ts'
import { readSaved } from './saved-node.ts'
import { OPTIMIZER_SETTINGS, optimizersWith, SETTINGS } from './settings.ts'

/** A training that is wholly decided. */
export interface Plan {
  readonly model: Model
  /** What the model is called beside its name: its preset, or the run that it is resumed from. */
  readonly label: string | undefined
  readonly task: Task
  readonly data: DataSource
  /** The settings that find the data again. */
  readonly source: SettingValues
  /** All settings that decide the result; of a resumed run also what it had reached. */
  readonly record: Omit<RunRecord, 'step'>
  /** How it is carried out. */
  readonly execution: SettingValues
  readonly optimizer: Optimizer
  readonly schedule: Schedule
  readonly augment?: Augmentation
  readonly program: ProgramOptions
  readonly folder: RunFolder
  /** Where a resumed run stands. */
  readonly from?: RunState
  /** Time that a resumed run has taken before, in seconds. */
  readonly seconds: number
  /** Whether the folder holds the beginning of this run. */
  readonly resumed: boolean
}

function chosenOptimizer(values: SettingValues, asked: SettingValues, { label }: Context): Optimizer {
  const optimizer = optimizerFor(values)
  const stray = Object.keys(OPTIMIZER_SETTINGS).find(
    key => asked[key] !== undefined && !Object.hasOwn(optimizer.settings, key),
  )
  if (stray === undefined) return optimizer
  const names = optimizersWith(stray).map(o => o.name)
  throw new UserError(`${label(stray)} is for ${label('optimizer')} ${names.join(' or ')} only`)
}

/** Examples of an epoch. @throws UserError where nobody knows */
function examplesOf({ data: { train }, program }: Prepared, batch: number, accumulate: number): number {
  if (train.size !== undefined) return train.size
  if (program?.stepsPerEpoch !== undefined) return program.stepsPerEpoch * batch * accumulate
  throw new UserError(
    `${train.name} does not say how many examples it has: give the run stepsPerEpoch, which schedules and resuming need`,
  )
}

/** Checks what is asked for against the settings of a definition. @throws UserError */
export function checkAsked(definition: Definition, asked: SettingValues, { label }: Context): void {
  const schema = schemaOf(definition)
  for (const [name, value] of Object.entries(asked)) {
    if (value === undefined || Object.hasOwn(schema, name)) continue
    if (Object.hasOwn(SETTINGS, name))
      throw new UserError(
        `${label(name)} is for models that come with onnxgrad; ${definition.name} decides that itself`,
      )
    throw new UserError(
      `${label(name)} is not a setting of ${definition.name}; it has ${Object.keys(definition.settings).join(', ') || 'none of its own'}`,
    )
  }
  checkSettings(schema, asked, label)
}

/** What is asked for, with recipe and defaults in place of the rest. */
export const valuesFor = (definition: Definition, asked: SettingValues): SettingValues => ({
  ...defaultsOf(schemaOf(definition)),
  ...defined(withRecipe(definition.defaults(asked), asked)),
})

let usual: Promise<Awaited<ReturnType<typeof defaultDevice>>> | undefined

/** The device that is asked for; else the default one, and where that is not the CPU, a line that says why. */
export async function deviceFor(asked: unknown, { notice: tell }: Pick<Context, 'notice'>): Promise<string> {
  if (asked !== undefined) return String(asked)
  if (usual) return (await usual).device
  usual = defaultDevice()
  const { device, notice } = await usual
  if (notice) tell(notice)
  return device
}

/** A run from its beginning. @throws UserError for settings that do not fit each other or the data */
export async function newPlan(definition: Definition, asked: SettingValues, context: Context): Promise<Plan> {
  const { label } = context
  checkAsked(definition, asked, context)
  const values = valuesFor(definition, asked)
  const [epochs, batch, accumulate] = [values.epochs, values.batch, values.accumulate].map(Number)
  const { warmup, patience } = values
  if (!(Number(warmup) < Number(epochs)))
    throw new UserError(
      `${label('warmup')} must be at least 0 and below ${label('epochs')} ${epochs}, not ${warmup}`,
    )
  // What can be wrong with settings alone is found before the data are read.
  const optimizerOfSettings = chosenOptimizer(values, asked, context)
  const augmented = augmentOptions(values)
  const augment = augmented && augmentation(augmented)
  const prepared = await definition.prepare(asked, values, context)
  const { model, data, task } = prepared
  if (patience !== undefined && !data.val)
    throw new UserError(
      definition.classifier
        ? `${label('patience')} needs a validation set: give ${label('valSplit')}, such as 0.1`
        : `${label('patience')} needs a validation set: the data of ${definition.name} must have val`,
    )
  const metric = monitorFor(
    task.trace(model).evaluation,
    values.metric as string | undefined,
    label('metric'),
  )
  const examples = examplesOf(prepared, Number(batch), Number(accumulate))
  const device = await deviceFor(values.device, context)
  const perEpoch = stepsPerEpoch({ examples, batch: Number(batch), accumulate: Number(accumulate) })
  const optimizer = prepared.optimizer ?? optimizerOfSettings
  const schedule = prepared.schedule ?? scheduleFor(values, perEpoch)
  const folder =
    values.out === undefined
      ? await RunFolder.next(`runs/${[definition.name, prepared.label].filter(Boolean).join('-')}`)
      : await RunFolder.at(String(values.out), { overwrite: values.overwrite === true })
  const record = recordOf({
    model: { name: definition.name, config: prepared.config },
    module: definition.module,
    values: { ...values, ...prepared.settings, metric, device, valSplit: prepared.valSplit },
    augment: augmented,
    ...{ optimizer, schedule, data, examples },
    fingerprints: await fingerprints(data),
  })
  return {
    ...{ model, task, data, record, optimizer, schedule, folder },
    label: prepared.label,
    source: prepared.source ?? {},
    execution: executionOf(values),
    ...(augment ? { augment } : {}),
    program: prepared.program ?? {},
    seconds: 0,
    resumed: false,
  }
}

/**
 * A run that is resumed from its last checkpoint, in its folder; from a checkpoint file, in a folder of its own.
 * @param given the definition of a run that a program trained
 * @throws UserError when the file is damaged, or a setting or the data is not the run's
 */
export async function resumedPlan(
  path: string,
  asked: SettingValues,
  context: Context,
  given?: Definition,
): Promise<Plan> {
  const build = recordedBuild(given)
  if (await isFolder(path)) {
    const { folder, from } = await RunFolder.resume(path, build, context.notice)
    try {
      const { best, ...recorded } = from.record
      const { finished, config } = from
      const bestParams =
        best && from.best
          ? { best, bestParams: answeringParams(from.best.layout, from.best.state.vectors) }
          : {}
      const reached = from.state && { ...from.state, ...bestParams }
      const had = { preset: fieldsOf(config.model).preset, ...executionOf(config) }
      const its = await resumedFrom(
        path,
        asked,
        recorded,
        had,
        fieldsOf(config.source),
        reached,
        context,
        given,
      )
      if (finished.model && (finished.report || its.execution.report === false))
        refuseFinished(asked, from.record, context)
      return { ...its, folder, seconds: from.seconds, resumed: true }
    } catch (error) {
      folder.close()
      throw error
    }
  }
  const { record, state } = await readSaved(path, build)
  // The best epoch's parameters are in the folder that the file comes from.
  const { best: _, ...recorded } = record
  const folder =
    asked.out === undefined
      ? await RunFolder.next(`runs/${basename(path, extname(path))}`)
      : await RunFolder.at(String(asked.out), { overwrite: asked.overwrite === true })
  const plan = await resumedFrom(path, asked, recorded, {}, {}, state, context, given)
  return { ...plan, folder, seconds: 0, resumed: false }
}

/** @throws UserError when nothing is left to do */
function refuseFinished(
  asked: SettingValues,
  { step, epochs, patience, best, ...record }: RunRecord,
  { label }: Context,
): void {
  const perEpoch = stepsPerEpoch(record)
  if (step === perEpoch * Number(asked.epochs ?? epochs))
    throw new UserError(
      `all ${step} steps of ${epochs} epochs are done; to train longer, give more ${label('epochs')}`,
    )
  const waited = Math.floor(step / perEpoch) - (best?.epoch ?? 0)
  if (patience !== undefined && best && waited >= Number(asked.patience ?? patience))
    throw new UserError(
      `no epoch was better than epoch ${best.epoch} for ${waited}: the run has ended; to train longer, give more ${label('patience')}`,
    )
}

async function resumedFrom(
  path: string,
  asked: SettingValues,
  { step, sums, ...recorded }: RunRecord,
  had: SettingValues,
  known: SettingValues,
  reached: RunState | undefined,
  context: Context,
  given?: Definition,
): Promise<Omit<Plan, 'folder' | 'seconds' | 'resumed'>> {
  const definition = await recordedDefinition(recorded.model.name, recorded.module, given)
  checkAsked(definition, asked, context)
  const values = settingsOf(recorded, had)
  refuseOtherSettings(schemaOf(definition), asked, values, path, context)
  const more = defined({
    epochs: asked.epochs,
    patience: asked.patience,
    threads: asked.threads,
    module: given?.module ?? recorded.module,
  })
  const record: Omit<RunRecord, 'step'> = { ...recorded, ...more }
  const prepared = await definition.reopen(record, known, {
    ...context,
    changes: asked,
    begun: reached !== undefined,
  })
  const { data } = prepared
  if (!recorded.fingerprints && data.train.size !== record.examples)
    throw new UserError(
      `${path}: the run has ${record.examples} examples per epoch, ${data.origin} has ${data.train.size}; give its own data (${context.label('data')} digits for the lab's 10,000 digits)`,
    )
  const found = await fingerprints(data)
  refuseOtherData(path, recorded.fingerprints, found, context)
  const execution = {
    ...executionOf(valuesFor(definition, {})),
    ...executionOf(had),
    ...executionOf(asked),
  }
  return {
    model: prepared.model,
    label: `from step ${step} of ${basename(path)}`,
    task: prepared.task,
    data,
    source: prepared.source ?? {},
    record: { ...record, fingerprints: found },
    execution,
    optimizer: prepared.optimizer ?? recordedOptimizer(record.optimizer),
    schedule: prepared.schedule ?? recordedSchedule(record.schedule),
    ...(record.augment ? { augment: augmentation(record.augment) } : {}),
    program: prepared.program ?? {},
    ...(reached ? { from: { ...reached, sums } } : {}),
  }
}
