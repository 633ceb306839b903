import { join } from 'node:path'
import { exists } from '../data/files-node.ts'
import type { Runtime } from '../runtime/session.ts'
import { type Context, type Definition, messages, type SettingValues } from './definition.ts'
import { RUN_FILES } from './folder-node.ts'
import { newPlan, type Plan, resumedPlan } from './plan-node.ts'
import { executionOf } from './recorded.ts'
import type { RunOptions } from './run-node.ts'
import { type RunResult, runPlan } from './train-node.ts'

/** Whether a run has begun in a folder. */
export const hasBegun = (folder: string): Promise<boolean> => exists(join(folder, RUN_FILES.config))

/** How one of several runs differs from a run on its own. */
export interface SubRun {
  /** Is shown a new plan before it begins. */
  readonly check?: (plan: Plan) => void
  /** Ends after so many of its epochs. */
  readonly until?: number
  /** Settings in place of those that are asked for, of how the work is carried out. */
  readonly execution?: SettingValues
}

/** Trains settings into a folder, or resumes that run where it has begun. @throws UserError */
export async function trainIn(
  folder: string,
  definition: Definition,
  asked: SettingValues,
  runtime: Runtime,
  options: RunOptions,
  { check, until, execution = {} }: SubRun,
): Promise<RunResult> {
  const context = messages(options)
  const begun = await hasBegun(folder)
  const plan = begun
    ? await resumedPlan(folder, { ...executionOf(asked), ...execution }, context, definition)
    : await newPlan(definition, { ...asked, ...execution, out: folder }, context)
  if (!begun) check?.(plan)
  try {
    return await runPlan(plan, runtime, options, until)
  } finally {
    plan.folder.close()
  }
}

/** Whether values are the same; a number and a list of one are. */
const same = (a: unknown, b: unknown): boolean => JSON.stringify([a].flat()) === JSON.stringify([b].flat())

/** All settings that are asked for otherwise than a folder's runs have them, in words. @param what the folder holds */
export const otherSettings = (
  had: SettingValues,
  asked: SettingValues,
  what: string,
  { label }: Context,
): readonly string[] =>
  Object.entries(asked).flatMap(([name, value]) =>
    value === undefined || same(value, had[name])
      ? []
      : [`${label(name)} is ${had[name] ?? 'not set'} in ${what}, not ${value}`],
  )
