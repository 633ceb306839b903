import { buildModel, MODELS } from '../../models/index.ts'
import { withValidation } from '../data/held-out.ts'
import { UserError } from '../graph/errors.ts'
import { isKey, picked } from '../graph/keys.ts'
import { lookup, nth } from '../graph/present.ts'
import type { Model } from '../nn/model.ts'
import type { Schema } from '../settings/setting.ts'
import { modelInput } from '../train/classifier.ts'
import { taskFor } from './classifier-task.ts'
import { dataAgain } from './data-again-node.ts'
import { type DataSettings, loadData, sourceOf } from './data-node.ts'
import type { Context, Definition, Prepared, SettingValues } from './definition.ts'
import { built, drafted, fitted, takesSide } from './fitted-node.ts'
import { preparedFrom, reopenedFrom, startFor } from './from-weights-node.ts'
import { RECIPES } from './recipes.ts'
import { isTuned, plainConfig, tuned } from './tuned.ts'

/** The settings of a known model. @throws UserError for an unknown name */
function settingsOf(name: string): Schema {
  if (!isKey(MODELS, name))
    throw new UserError(
      `model ${name} is not known; choose one of ${Object.keys(MODELS).join(', ')}, or give a module (.ts, .js) that exports a run: export default defineRun({ … })`,
    )
  return MODELS[name].settings
}

/** The configuration of a preset, with the given settings in place of its own. @param own that of weights, in place of the preset's @throws UserError for one of another model */
export function resolveConfig(
  name: string,
  preset: unknown,
  values: SettingValues,
  label: Context['label'] = key => key,
  own?: object,
): { readonly preset: string; readonly config: object } {
  const settings = settingsOf(name)
  const presets: Readonly<Record<string, object>> = lookup<{
    readonly presets: Readonly<Record<string, object>>
  }>(MODELS, name).presets
  const chosen = preset === undefined ? nth(Object.keys(presets), 0) : String(preset)
  if (!Object.hasOwn(presets, chosen))
    throw new UserError(`${name} has no preset ${chosen}; choose one of ${Object.keys(presets).join(', ')}`)
  const stray = MODEL_NAMES.find(key => values[key] !== undefined && !Object.hasOwn(settings, key))
  if (stray !== undefined)
    throw new UserError(
      `${label(stray)} is not a setting of ${name}; it has ${Object.keys(settings).join(', ')}`,
    )
  return {
    preset: chosen,
    config: { ...(own ?? lookup(presets, chosen)), ...picked(values, Object.keys(settings)) },
  }
}

/** The settings of all known models. */
const MODEL_NAMES = [...new Set(Object.values(MODELS).flatMap(({ settings }) => Object.keys(settings)))]

/** The data of a new run. The recipe's validation split is for data that bring no validation set along. */
async function newData(
  draft: Model,
  config: object,
  asked: SettingValues,
  values: SettingValues,
  context: Context,
) {
  const own = asked.valSplit as number | undefined
  // Weights are for pictures of the model's size and channels.
  const follow =
    asked.weights === undefined
      ? {
          channels: asked.channels === undefined,
          size: (side: number) => takesSide(draft, config, asked, side),
        }
      : {}
  const known =
    asked.preprocess === undefined ? {} : { preprocessing: { kind: asked.preprocess as 'resize' } }
  const settings: DataSettings = { ...values, valSplit: own }
  const data = await loadData(modelInput(draft), settings, { ...known, ...context, follow })
  const split = values.valSplit as number | undefined
  if (data.val || split === undefined) return { data, valSplit: own }
  return { data: withValidation(data, split), valSplit: split }
}

/** The run of a model that comes with onnxgrad: a classifier of images, or of the next character. @throws UserError */
export function knownRun(name: string): Definition {
  const settings = settingsOf(name)
  return {
    name,
    settings,
    classifier: true,
    defaults: asked => ({
      metric: 'accuracy',
      ...RECIPES[name]?.[resolveConfig(name, asked.preset, {}).preset],
    }),
    async prepare(asked, values, context): Promise<Prepared> {
      const start = await startFor(name, asked, values, context)
      const own = asked.preset === undefined ? start?.model?.config : undefined
      const { preset, config } = resolveConfig(name, values.preset, values, context.label, own)
      const draft = drafted(name, config, values)
      const { data, valSplit } = await newData(draft, config, asked, values, context)
      const fit = fitted(config, data, values)
      for (const line of fit.notes) context.notice(line)
      const model = built(name, fit.config, data)
      const source = sourceOf(values, data)
      const shared = { data, valSplit, source, label: own ? 'finetune' : preset, task: taskFor(values) }
      return start
        ? preparedFrom(start, model, shared, asked, values, context)
        : { ...shared, model, config: model.config }
    },
    async reopen(record, source, context): Promise<Prepared> {
      const { config } = record.model
      const model = buildModel(name, plainConfig(config))
      const found = await dataAgain(modelInput(model), record, source, context)
      const task = taskFor({ ...record, ...record.augment })
      const shared = { ...found, valSplit: record.valSplit, task }
      return isTuned(config)
        ? reopenedFrom(model, record, shared, context)
        : { ...shared, model, config: model.config }
    },
    build(config) {
      const model = buildModel(name, plainConfig(config))
      return isTuned(config) ? tuned(model, config) : { model }
    },
  }
}
