import { resolve } from 'node:path'
import { COLLECTIONS } from '../data/collections.ts'
import { type DataSource, type ImageDataset, type ImageSource, subset } from '../data/dataset.ts'
import { withValidation } from '../data/held-out.ts'
import { type ImagesOptions, loadImages } from '../data/images-node.ts'
import { joined, listed } from '../data/notice.ts'
import type { TextDataset } from '../data/text.ts'
import { loadText } from '../data/text-node.ts'
import { UserError } from '../graph/errors.ts'
import { defined, isKey, picked } from '../graph/keys.ts'
import { nth } from '../graph/present.ts'
import type { ExampleInput } from '../train/classifier.ts'
import { flagOf } from './command.ts'
import type { Context, SettingValues } from './definition.ts'
import type { Settings } from './settings.ts'

/** The settings that say which data. */
export interface DataSettings extends Pick<Settings, 'data' | 'text' | 'limit' | 'skipBad' | 'valSplit'> {
  /** The folder of downloads, of a run that found its data there. */
  readonly cache?: string | undefined
  /** Whether `data` is where a run found them: `ONNXGRAD_DATA` does not say otherwise. */
  readonly recorded?: boolean | undefined
}

/** Examples with labels: images, or rows of a text, whose labels are the characters that follow. */
export type LabelledDataset = ImageDataset | TextDataset

/** What a classifier is trained and tested on. */
export interface LabelledSource extends DataSource {
  readonly train: LabelledDataset
  readonly val?: LabelledDataset | undefined
  readonly test: LabelledDataset
}

/** What is known beside the settings. */
export interface Known extends Pick<ImagesOptions, 'preprocessing' | 'follow'>, Partial<Context> {
  /** What a model knows already: the names of its classes, a text's characters. */
  readonly classes?: readonly string[] | undefined
}

/**
 * What a model that reads `input` is trained and tested on: images, or a text. Pictures in folders are resized to the input's shape,
 * other images keep their own.
 * @throws UserError when setting and model do not fit, or the data cannot be read
 */
export async function loadData(
  input: ExampleInput,
  { data, text, limit, valSplit, skipBad = false, cache, recorded }: DataSettings,
  { classes, notice, label = flagOf, ...known }: Known = {},
): Promise<LabelledSource> {
  if (input.kind === 'tokens') {
    if (data !== undefined)
      throw new UserError(`${label('data')} names images; this model reads text: give ${label('text')} FILE`)
    if (text === undefined) throw new UserError(`this model reads text: give ${label('text')} FILE`)
    if (limit !== undefined) throw new UserError(`${label('limit')} is for images only`)
    if (skipBad) throw new UserError(`${label('skipBad')} is for images only`)
    return loadText(text, nth(input.shape, 0), classes, valSplit)
  }
  if (text !== undefined) throw new UserError(`${label('text')} is for models that read text (gpt)`)
  const asked = { ...(data === undefined ? {} : { data }), ...(classes ? { classes } : {}) }
  const found = {
    ...(cache === undefined ? {} : { cache }),
    ...(recorded ? { env: { ...process.env, ONNXGRAD_DATA: undefined } } : {}),
    ...(notice ? { log: notice } : {}),
  }
  const source = await loadImages({ ...asked, ...known, ...found, shape: input.shape, skipBad })
  const limited = limit === undefined ? source : first(source, limit)
  return valSplit === undefined ? limited : withValidation(limited, valSplit)
}

/** The first of the training images. Its notice names the classes that none of them shows. */
function first(source: ImageSource, limit: number): ImageSource {
  const train = subset(source.train, limit)
  const shown = (set: ImageDataset) => new Set(set.labels)
  const [before, now] = [shown(source.train), shown(train)]
  const lost = train.classes.filter((_, label) => before.has(label) && !now.has(label))
  const notice = lost.length
    ? `The first ${limit} training images show none of ${lost.length} of ${before.size} classes: ${listed(lost)}`
    : undefined
  return { ...source, train, ...joined(source.notice, notice) }
}

/** Which data were loaded, so that the same are found again wherever the run is resumed. */
export function sourceOf(
  { text, limit, skipBad }: DataSettings,
  { location }: DataSource,
  env: Readonly<Record<string, string | undefined>> = process.env,
): SettingValues {
  const cache = location !== undefined && isKey(COLLECTIONS, location) ? env.ONNXGRAD_CACHE : undefined
  return defined({
    data: text === undefined ? location : undefined,
    text: text && resolve(text),
    limit,
    skipBad: skipBad || undefined,
    cache: cache && resolve(cache),
  })
}

/** Settings whose files are found from any working folder. */
export const placed = (settings: SettingValues): SettingValues => ({
  ...settings,
  ...defined({
    data:
      typeof settings.data === 'string' && !isKey(COLLECTIONS, settings.data)
        ? resolve(settings.data)
        : settings.data,
    text: typeof settings.text === 'string' ? resolve(settings.text) : undefined,
    weights: typeof settings.weights === 'string' ? resolve(settings.weights) : undefined,
  }),
})

/** The settings that find a run's data again, of what `config.json` says; those that are given now come first. */
export const sourceAgain = (recorded: SettingValues, asked: SettingValues): DataSettings => ({
  ...recorded,
  ...picked(asked, ['data', 'text', 'limit', 'skipBad']),
  recorded: asked.data === undefined && recorded.data !== undefined,
})
