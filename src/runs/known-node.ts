import { buildModel, MODELS } from '../../models/index.ts'
import { augmentation, mixes } from '../data/augment.ts'
import { withValidation } from '../data/held-out.ts'
import { presumedPreprocessing } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { isKey, picked } from '../graph/keys.ts'
import { lookup, nth } from '../graph/present.ts'
import type { Model } from '../nn/model.ts'
import type { Schema } from '../settings/setting.ts'
import { classification } from '../tasks/classification.ts'
import type { Task } from '../tasks/task.ts'
import { modelInput } from '../train/classifier.ts'
import { type DataSettings, type LabelledSource, loadData, sourceAgain, sourceOf } from './data-node.ts'
import type { Context, Definition, Prepared, SettingValues } from './definition.ts'
import { built, drafted, fitted, takesSide } from './fitted-node.ts'
import { RECIPES } from './recipes.ts'
import { AUGMENT_SETTINGS } from './settings.ts'

/** The augmentation that settings ask for; undefined where they ask for nothing. */
export function augmentOptions(values: SettingValues): SettingValues | undefined {
  const given = Object.keys(AUGMENT_SETTINGS).filter(key => values[key])
  return given.length ? Object.fromEntries(given.map(key => [key, values[key]])) : undefined
}

/** The settings of a known model. @throws UserError for an unknown name */
function settingsOf(name: string): Schema {
  if (!isKey(MODELS, name))
    throw new UserError(
      `model ${name} is not known; choose one of ${Object.keys(MODELS).join(', ')}, or give a module (.ts, .js) that exports a run: export default defineRun({ … })`,
    )
  return MODELS[name].settings
}

/** The configuration of a preset, with the given settings in place of its own. @throws UserError for one of another model */
export function resolveConfig(
  name: string,
  preset: unknown,
  values: SettingValues,
  label: Context['label'] = key => key,
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
  return { preset: chosen, config: { ...lookup(presets, chosen), ...picked(values, Object.keys(settings)) } }
}

/** The settings of all known models. */
const MODEL_NAMES = [...new Set(Object.values(MODELS).flatMap(({ settings }) => Object.keys(settings)))]

function taskFor(values: SettingValues): Task {
  const augment = augmentOptions(values)
  const targets = augment && mixes(augmentation(augment)) ? 'mixed' : 'labels'
  const { labelSmoothing } = values
  return classification({
    targets,
    ...(labelSmoothing === undefined ? {} : { labelSmoothing: Number(labelSmoothing) }),
  })
}

/** The data of a new run. The recipe's validation split is for data that bring no validation set along. */
async function newData(
  draft: Model,
  config: object,
  asked: SettingValues,
  values: SettingValues,
  context: Context,
) {
  const own = asked.valSplit as number | undefined
  const follow = {
    channels: asked.channels === undefined,
    size: (side: number) => takesSide(draft, config, asked, side),
  }
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
      const { preset, config } = resolveConfig(name, values.preset, values, context.label)
      const draft = drafted(name, config, values)
      const { data, valSplit } = await newData(draft, config, asked, values, context)
      const fit = fitted(config, data, values)
      for (const line of fit.notes) context.notice(line)
      const model = built(name, fit.config, data)
      const source = sourceOf(values, data)
      return { model, config: model.config, label: preset, task: taskFor(values), data, valSplit, source }
    },
    async reopen(record, source, { changes, ...context }): Promise<Prepared> {
      const model = buildModel(name, record.model.config)
      const input = modelInput(model)
      const { classes = [], preprocessing = presumedPreprocessing(input.shape, classes), valSplit } = record
      const settings = { ...sourceAgain(source, changes), valSplit }
      const data: LabelledSource = await loadData(input, settings, { classes, preprocessing, ...context })
      if (data.fromPictures && !record.preprocessing)
        throw new UserError(
          `the run's pictures were prepared in another way by onnxgrad ${record.versions?.onnxgrad ?? '0.1.0'}; resume it with that release, or train it again from the start`,
        )
      const values = { ...record, ...record.augment }
      const found = sourceOf(settings, data)
      return { model, config: model.config, task: taskFor(values), data, valSplit, source: found }
    },
    build: config => ({ model: buildModel(name, config) }),
  }
}
