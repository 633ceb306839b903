import { join } from 'node:path'
import { exists } from '../data/files-node.ts'
import type { Runtime } from '../runtime/session.ts'
import { RUN_FILES } from '../train/run-node.ts'
import type { Values } from '../tune/space.ts'
import { parsed } from './command-line.ts'
import { type Outcome, type RunSettings, runPlan, type Watch } from './run-plan.ts'
import { newPlan, type Plan, resumedPlan } from './train-plan.ts'

/** Whether a run has begun in a folder. */
export const hasBegun = (folder: string): Promise<boolean> => exists(join(folder, RUN_FILES.config))

/**
 * Trains what a command line of `train` says into a folder, or goes on with that run where it has begun.
 * @param settings what is other than the flags say
 * @param check is shown a new plan before it begins
 * @throws UserError
 */
export async function trainIn(
  folder: string,
  model: string,
  flags: Values,
  runtime: Runtime,
  settings: RunSettings,
  watch: Watch,
  check: (plan: Plan) => void = () => {},
): Promise<Outcome> {
  const all = await parsed(model, flags)
  const begun = await hasBegun(folder)
  const plan = await (begun
    ? resumedPlan(folder, await parsed(model, all.report ? {} : { report: false }))
    : newPlan({ ...all, out: folder }))
  if (!begun) check(plan)
  const {
    recompute,
    'steps-per-run': stepsPerRun,
    'save-every': saveEvery,
    verify,
    report,
    tensorboard,
  } = all
  const asked = { recompute, stepsPerRun, saveEvery, verify, report, tensorboard }
  try {
    return await runPlan(plan, runtime, { ...asked, ...settings }, watch)
  } finally {
    plan.folder.close()
  }
}
