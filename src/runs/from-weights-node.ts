import { resolve } from 'node:path'
import { buildModel, MODELS } from '../../models/index.ts'
import { inferredConfig } from '../../models/inferred.ts'
import { shapesAs } from '../finetune/pretrained/start.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf, isKey } from '../graph/keys.ts'
import { lookup } from '../graph/present.ts'
import type { Model } from '../nn/model.ts'
import type { Context, Prepared, Reopening, SettingValues } from './definition.ts'
import { normalizationFor, readStart, type StartWeights, startedFrom } from './pretrained-node.ts'
import type { RunRecord } from './record.ts'
import { tuned } from './tuned.ts'
import { checkTuning, refuseTuning } from './tuning-check.ts'
import { preparedTuning, reopenedTuning, type Shared } from './tuning-run-node.ts'

// Runs of known models that start from weights.

/** The weights that a new run starts from, if any. @throws UserError where settings contradict each other */
export async function startFor(
  name: string,
  asked: SettingValues,
  values: SettingValues,
  context: Context,
): Promise<StartWeights | undefined> {
  const { label } = context
  if (asked.weights === undefined) {
    refuseTuning(asked, context)
    return undefined
  }
  if (asked.normalize !== undefined)
    throw new UserError(
      `${label('normalize')} is for .onnx files that are trained, not for ${label('weights')}`,
    )
  checkTuning(asked, values, context)
  const start = await readStart(String(asked.weights))
  if (start.model && start.model.name !== name)
    throw new UserError(
      isKey(MODELS, start.model.name)
        ? `${start.path} has the weights of ${start.model.name}, not of ${name}: train ${start.model.name}, or give other ${label('weights')}`
        : `${start.path} has the weights of ${start.model.name}, not of ${name}: train the file itself: onnxgrad train ${start.path}`,
    )
  return start.model ? start : { ...start, model: inferred(name, start) }
}

/** The model that weights of another library are of. */
function inferred(name: string, { tensors }: StartWeights): StartWeights['model'] {
  const [preset] = Object.values<object>(
    lookup<{ readonly presets: object }>(MODELS, name).presets as Record<string, object>,
  )
  const names = new Set(buildModel(name, preset ?? {}).parameters.keys())
  const { shapes, config } = shapesAs(names, tensors)
  const found = inferredConfig(name, shapes)
  return found && { name, config: { ...found, ...config } }
}

/** A new run of a known model that starts from weights. @throws UserError when they are not the model's */
export function preparedFrom(
  start: StartWeights,
  model: Model,
  shared: Shared,
  asked: SettingValues,
  values: SettingValues,
  context: Context,
): Prepared {
  const { train } = shared.data
  const { model: base, newHead } = startedFrom(model, start, train.classes, context)
  const normalization = 'images' in train ? normalizationFor(start, train.shape[0], context) : undefined
  const data = { ...shared.data, ...(normalization ? { normalization } : {}) }
  const config = { ...model.config, startedFrom: start.sha256 }
  const prepared = preparedTuning(base, newHead, config, { ...shared, data }, values, context)
  return { ...prepared, settings: { ...prepared.settings, weights: resolve(String(asked.weights)) } }
}

/** Such a run that is resumed. Its weights are read again only if it has no state yet. @param plain the model with random weights */
export async function reopenedFrom(
  plain: Model,
  record: Omit<RunRecord, 'step'>,
  shared: Shared,
  { changes, begun, ...context }: Reopening,
): Promise<Prepared> {
  const { normalization, model } = record
  const data = { ...shared.data, normalization }
  if (begun) return reopenedTuning(tuned(plain, model.config), record, { ...shared, data })
  const path = String(changes.weights ?? fieldsOf(record).weights)
  const start = await readStart(path)
  if (start.sha256 !== fieldsOf(model.config).startedFrom)
    throw new UserError(
      `${path} is not what the run started from: it has changed; put the file back, or name it with ${context.label('weights')}`,
    )
  const { model: base } = startedFrom(plain, start, record.classes, { notice: () => {} })
  return reopenedTuning(tuned(base, model.config), record, { ...shared, data })
}
