import { UserError } from '../graph/errors.ts'
import { nodeRuntime } from '../runtime/node.ts'
import type { GraphProfile } from '../runtime/profile-node.ts'
import type { Runtime } from '../runtime/session.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { type Context, type Definition, messages, type SettingValues } from './definition.ts'
import { definitionOf } from './definition-node.ts'
import { newPlan, type Plan, resumedPlan } from './plan-node.ts'
import type { Settings } from './settings.ts'
import { type RunResult, runPlan, type Watch } from './train-node.ts'

/**
 * Settings of a run: what is trained, and how. Beside the common ones, those of the model, such as `depth`, or of the definition; all are
 * checked before the run begins.
 */
export interface RunSettings extends Settings {
  /** The name of a model that comes with onnxgrad, the path of a module that exports a run, or what `defineRun` returns. */
  readonly model: string | Definition
  /** Settings of the model, or of the definition. */
  readonly [setting: string]: unknown
}

/** Settings that a resumed run may change, such as more `epochs`; others must be the run's. */
export interface ResumeSettings extends Settings {
  /** The definition of a run that a program trained, where it was not a module. */
  readonly model?: Definition | undefined
}

/** What is known of a run when it starts. */
export interface RunStart {
  /** The run folder. */
  readonly out: string
  /** @internal Everything that was decided. */
  readonly plan: Plan
  /** Where it runs. */
  readonly runtime: Pick<Runtime, 'device' | 'version'>
}

/** Callbacks of a run, and how messages name things. */
export interface RunOptions extends Watch {
  /** Called before the first step, when everything is decided. */
  readonly onStart?: ((start: RunStart) => void) | undefined
}

async function carryOut(plan: Plan, options: RunOptions): Promise<RunResult> {
  const device = plan.record.device ?? 'cpu'
  const profiles: GraphProfile[] = []
  try {
    // A profile is made in this thread, from which it can be read.
    const runtime = await (plan.execution.profile
      ? nodeRuntime(device, profile => profiles.push(profile))
      : workerRuntime(device))
    try {
      begin(plan, runtime, options)
      const done = await runPlan(plan, runtime, options)
      const [longest] = profiles.sort((a, b) => b.runs - a.runs).filter(p => p.graph.includes('step'))
      return longest ? { ...done, profile: longest } : done
    } finally {
      await runtime.close()
    }
  } finally {
    plan.folder.close()
  }
}

/** Says what will be done. */
function begin(plan: Plan, runtime: Runtime, options: RunOptions): void {
  const { notice } = messages(options)
  options.onStart?.({ out: plan.folder.path, plan, runtime })
  const began = plan.record.versions?.onnxruntime
  if (began !== undefined && began !== runtime.version)
    notice(
      `onnxruntime ${began} started this run and ${runtime.version} continues it: numbers may differ in the last digits`,
    )
  if (plan.data.notice) notice(plan.data.notice)
}

/**
 * Trains a model as `onnxgrad train` does, into a run folder: checkpoints from which the run can be resumed, metrics, `model.onnx`,
 * a report. It may be killed at any moment.
 * @throws UserError before the first step for settings, data or folders that do not fit
 * @throws DivergenceError when a loss or gradient is not finite; the state before it is saved
 */
export async function trainRun(settings: RunSettings, options: RunOptions = {}): Promise<RunResult> {
  const { model, ...asked } = settings
  return carryOut(await newPlan(await definitionOf(model), asked, messages(options)), options)
}

/**
 * Resumes the run of a folder, or of a checkpoint file in a new folder; the result is that of an uninterrupted run, byte for byte.
 * @throws UserError when a file is damaged, a setting or the data is not the run's, or nothing is left to do
 */
export async function resumeRun(
  path: string,
  settings: ResumeSettings = {},
  options: RunOptions = {},
): Promise<RunResult> {
  const { model, ...asked } = settings
  return carryOut(await resumedPlan(path, asked, messages(options), model), options)
}

/** @throws UserError where several runs cannot share a setting */
export function refuseShared(
  asked: SettingValues,
  names: readonly string[],
  { label }: Context,
  what: string,
): void {
  const stray = names.find(name => asked[name] !== undefined && asked[name] !== false)
  if (stray !== undefined) throw new UserError(`${label(stray)} cannot be combined with ${what}`)
}
