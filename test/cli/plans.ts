import { flagOf } from '../../src/runs/command.ts'
import type { SettingValues } from '../../src/runs/definition.ts'
import { knownRun } from '../../src/runs/known-node.ts'
import * as plans from '../../src/runs/plan-node.ts'

/** Speaks as the command line does. @param told what it says that is no reason to stop */
const speaker = (told: string[]) => ({ label: flagOf, notice: (line: string) => void told.push(line) })

/** The plan of a new run of a model that comes with onnxgrad. */
export const newPlan = (model: string, settings: SettingValues, told: string[] = []): Promise<plans.Plan> =>
  plans.newPlan(knownRun(model), settings, speaker(told))

export const resumedPlan = (
  path: string,
  settings: SettingValues = {},
  told: string[] = [],
): Promise<plans.Plan> => plans.resumedPlan(path, settings, speaker(told))
