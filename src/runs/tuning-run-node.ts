import { fieldsOf } from '../graph/keys.ts'
import type { Model } from '../nn/model.ts'
import { augmentOptions } from './classifier-task.ts'
import type { LabelledSource } from './data-node.ts'
import type { Context, Prepared, SettingValues } from './definition.ts'
import { type RunRecord, stepsPerEpoch } from './record.ts'
import { graphSettings, type Tuned, tuned } from './tuned.ts'
import {
  cachesFeatures,
  checkNames,
  tuningOptimizer,
  tuningOptimizerAgain,
  tuningSettings,
} from './tuning.ts'

/** What a run has beside its model. */
export type Shared = Omit<Prepared, 'model' | 'config' | 'data'> & { readonly data: LabelledSource }

/** A run that is prepared with all that fine-tuning decides. @param base the model with its weights @param config without settings */
export function preparedTuning(
  base: Model,
  newHead: boolean,
  config: object,
  shared: Shared,
  values: SettingValues,
  context: Context,
): Prepared {
  const { data, task } = shared
  const own = { ...config, ...graphSettings(base, values) }
  const run = tuned(base, own)
  checkNames(run, values, newHead, context)
  const decided = tuningSettings(values, newHead)
  const cacheFeatures = cachesFeatures(run, task, data, values, augmentOptions(values) !== undefined, context)
  const [batch, accumulate] = [values.batch, values.accumulate].map(Number)
  const perEpoch = stepsPerEpoch({
    examples: data.train.size,
    batch: Number(batch),
    accumulate: Number(accumulate),
  })
  return {
    ...shared,
    model: run.model,
    config: own,
    settings: { ...decided, cacheFeatures },
    optimizer: tuningOptimizer(run, { ...values, ...decided }, perEpoch),
    program: { ...run.program, cacheFeatures },
  }
}

/** The same for a run that is resumed. */
export const reopenedTuning = (run: Tuned, record: Omit<RunRecord, 'step'>, shared: Shared): Prepared => ({
  ...shared,
  model: run.model,
  config: run.model.config,
  optimizer: tuningOptimizerAgain(run, record),
  program: { ...run.program, cacheFeatures: fieldsOf(record).cacheFeatures === true },
})
