import { basename, extname, resolve } from 'node:path'
import { filesBeside } from '../data/beside-node.ts'
import { COLLECTIONS } from '../data/collections.ts'
import { readBytes } from '../data/files-node.ts'
import { isPreprocessing } from '../data/preprocess.ts'
import { type FileInfo, readOnnx } from '../export/read.ts'
import { imageClassifier } from '../finetune/classifier.ts'
import { replaceHead, withLogits } from '../finetune/head.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf, isKey } from '../graph/keys.ts'
import type { Normalization } from '../graph/normalization.ts'
import { lookup } from '../graph/present.ts'
import type { Model } from '../nn/model.ts'
import { whole } from '../settings/setting.ts'
import { modelInput } from '../train/classifier.ts'
import { taskFor } from './classifier-task.ts'
import { dataAgain } from './data-again-node.ts'
import { type LabelledSource, loadData, sourceOf } from './data-node.ts'
import type { Context, Definition, Prepared, SettingValues } from './definition.ts'
import { preparationBeside, sha256Of } from './pretrained-node.ts'
import { type Tuned, tuned } from './tuned.ts'
import { checkTuning } from './tuning-check.ts'
import { preparedTuning, reopenedTuning } from './tuning-run-node.ts'

/** Whether a text names a model file rather than a model that comes with onnxgrad. */
export const namesFile = (text: string | undefined): boolean =>
  text !== undefined && extname(text).toLowerCase() === '.onnx'

/** What of a run's configuration decides its model, beside settings of fine-tuning. */
interface FileConfig {
  readonly sha256: string
  readonly head: 'new' | 'kept'
  readonly classes: number
  /** Of the pictures: channels, height, width. */
  readonly shape: readonly number[]
  readonly normalization: Normalization
  readonly bgr?: true
}

interface File {
  /** As it was named. */
  readonly path: string
  readonly info: FileInfo
  readonly sha256: string
}

/** A file with what it keeps in files beside it, as PyTorch does: they are part of its digest. */
function openFile(path: string, bytes: Uint8Array): File {
  const beside = filesBeside(resolve(path))
  const files: Uint8Array[] = []
  const external = (name: string): Uint8Array => {
    const read = beside(name)
    files.push(read)
    return read
  }
  const info = readOnnx(bytes, path, { external })
  return { path, info, sha256: sha256Of(bytes, ...files) }
}

/** @throws UserError when the file is not the one that the run began with */
function buildFrom({ path, info, sha256 }: File, given: object): Tuned {
  // Checked where it differs: a configuration is that of a run's record.
  const config = given as FileConfig
  if (config.sha256 !== sha256)
    throw new UserError(
      `${path} is not the file that the run began with: it has changed (SHA-256 ${sha256.slice(0, 12)}…, not ${String(config.sha256).slice(0, 12)}…); put that file back, or name it where it is: onnxgrad train FILE.onnx --resume RUN`,
    )
  const [, height = 0, width = 0] = config.shape
  const { model } = imageClassifier(info, path, {
    preparation: { size: [height, width], from: [], ...(config.bgr ? { bgr: true } : {}) },
    normalize: config.normalization,
  })
  return tuned(headed(model, config.head, config.classes), config)
}

const headed = (model: Model, head: FileConfig['head'], classes: number): Model =>
  head === 'kept' ? withLogits(model) : replaceHead(model, classes)

const REFUSED = {
  weights: 'is for models that come with onnxgrad; a file has its own',
  preset: 'is for models that come with onnxgrad',
} as const

function checkFile(
  { path, info }: File,
  asked: SettingValues,
  values: SettingValues,
  context: Context,
): void {
  const { label } = context
  for (const [name, why] of Object.entries(REFUSED))
    if (asked[name] !== undefined) throw new UserError(`${label(name)} ${why}`)
  if (asked.normalize !== undefined && info.normalization)
    throw new UserError(`${path} normalizes its pictures itself: leave ${label('normalize')} out`)
  checkTuning(asked, values, context)
}

/** The data of a new run. Pictures in folders are prepared as the file's were, unless settings say otherwise. */
async function newData(
  { path, info }: File,
  model: Model,
  asked: SettingValues,
  values: SettingValues,
  context: Context,
): Promise<LabelledSource> {
  const input = modelInput(model)
  const { data: place, preprocess } = asked
  const folder = place !== undefined && !isKey(COLLECTIONS, String(place))
  const known = preprocess ?? (folder && isPreprocessing(info.preprocessing) ? info.preprocessing : undefined)
  const preprocessing = typeof known === 'string' ? { kind: known as 'resize' } : known
  const data = await loadData(input, values, {
    ...context,
    ...(preprocessing ? { preprocessing: preprocessing as { kind: 'resize' } } : {}),
  })
  const { train } = data
  if ('images' in train && train.shape.join() !== input.shape.join())
    throw new UserError(
      `${path} takes pictures of ${input.shape.join('×')}, but ${train.name} has ${train.shape.join('×')}: only pictures in one folder per class are resized; give such a folder with ${context.label('data')}, or a file of that size`,
    )
  return data
}

const count = (n: number): string => n.toLocaleString('en-US')

/**
 * The run that trains an `.onnx` file further: any classifier of pictures. The file takes the role of a run's module.
 * @throws UserError when it cannot be read
 */
export async function fileRun(path: string): Promise<Definition> {
  const module = resolve(path)
  const bytes = await readBytes(module)
  const file = openFile(path, bytes)
  const name = basename(path).replace(/\.onnx$/i, '')
  return {
    name,
    settings: {
      image: whole('Height and width of the pictures, where the file leaves them open', {
        role: 'comparison',
      }),
    },
    classifier: true,
    module,
    defaults: () => ({ metric: 'accuracy' }),
    async prepare(asked, values, context): Promise<Prepared> {
      checkFile(file, asked, values, context)
      const preparation = await preparationBeside(module)
      const side = asked.image === undefined ? undefined : Number(asked.image)
      const found = imageClassifier(file.info, path, {
        preparation,
        normalize: asked.normalize as 'imagenet' | 'none' | undefined,
        ...(side === undefined ? {} : { size: [side, side] }),
      })
      const { shape } = modelInput(found.model)
      if (side !== undefined && shape.slice(1).some(d => d !== side))
        throw new UserError(
          `${path} takes pictures of ${shape.join('×')}; leave ${context.label('image')} out`,
        )
      const own = await newData(file, found.model, asked, values, context)
      for (const note of found.notes) context.notice(note)
      const { classes } = own.train
      const kept = found.classNames?.join('\n') === classes.join('\n')
      context.notice(
        kept
          ? `head kept: ${basename(path)} has the data's classes`
          : `head: ${count(found.classes)} classes of ${basename(path)} replaced by the data's ${count(classes.length)}${found.classes === classes.length ? `: ${found.classNames ? 'they have other names' : 'their names are not known'}` : ''}`,
      )
      const normalization = lookup(found.model.normalization, 'image')
      const head = kept ? 'kept' : 'new'
      const config: FileConfig = {
        ...{ sha256: file.sha256, head, classes: classes.length, shape, normalization },
        ...(preparation.bgr && shape[0] === 3 ? { bgr: true } : {}),
      }
      const shared = {
        data: { ...own, normalization },
        valSplit: values.valSplit as number | undefined,
        source: sourceOf(values, own),
        label: 'finetune',
        task: taskFor(values),
      }
      const base = headed(found.model, head, classes.length)
      return preparedTuning(
        base,
        !kept,
        { ...config, ...(side ? { image: side } : {}) },
        shared,
        values,
        context,
      )
    },
    async reopen(record, source, context): Promise<Prepared> {
      const run = buildFrom(file, record.model.config)
      const found = await dataAgain(modelInput(run.model), record, source, context)
      const shared = {
        ...found,
        data: { ...found.data, normalization: record.normalization },
        valSplit: record.valSplit,
        task: taskFor({ ...record, ...record.augment }),
      }
      return reopenedTuning(run, record, shared)
    },
    build: config => buildFrom(file, fieldsOf(config)),
  }
}
