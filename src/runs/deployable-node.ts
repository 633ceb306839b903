import { type Augmentation, augmentation } from '../data/augment.ts'
import { batches } from '../data/batches.ts'
import type { DataSource, Dataset } from '../data/dataset.ts'
import { preprocessingOf } from '../data/preprocess.ts'
import { exampleInput } from '../deploy/verify-file.ts'
import { UserError } from '../graph/errors.ts'
import { defined } from '../graph/keys.ts'
import { loadInfo } from '../import/load.ts'
import { initialized, type TrainedModel } from '../nn/trained.ts'
import { classification } from '../tasks/classification.ts'
import type { Task } from '../tasks/task.ts'
import { type DataSettings, loadData } from './data-node.ts'
import type { Context } from './definition.ts'
import { isFolder } from './is-folder-node.ts'
import { type LoadOptions, loadModelFile, loadRun, type ModelFile } from './model-file-node.ts'
import { openRun } from './open-node.ts'

/** What a model was trained on, and for. */
export interface Lesson {
  readonly data: DataSource
  readonly task: Task
  readonly augment?: Augmentation | undefined
  /** Examples of a step. */
  readonly batch: number
}

/** A trained model that is to be deployed. */
export interface Deployable {
  readonly trained: TrainedModel
  /** Its data and task, which are read when a form of the model needs them. @throws UserError where they are not found */
  lesson(): Promise<Lesson>
}

const BATCH = 64

/** A file's model, with what its metadata say of classes and pictures. */
function fileModel({ info, path }: ModelFile): TrainedModel {
  const { classes, preprocessing, training } = info
  return { ...initialized(loadInfo(info, path)), ...defined({ classes, preprocessing, training }) }
}

/** A data set whose examples have the name of a file's input. */
const renamed = (set: Dataset, input: string): Dataset => ({
  name: set.name,
  ...defined({ size: set.size, classes: set.classes }),
  async *batches(options) {
    for await (const batch of batches(set, options))
      yield Object.fromEntries(
        Object.entries(batch).map(([name, values]) => [name === 'label' ? name : input, values]),
      )
  },
})

const readAs = (input: string, { train, test, ...about }: DataSource): DataSource => ({
  ...about,
  train: renamed(train, input),
  ...defined({ test: test && renamed(test, input) }),
})

/** @throws UserError for a model that classifies neither images nor tokens */
async function lessonOfFile(
  { info, path }: ModelFile,
  asked: DataSettings,
  { notice }: Context,
): Promise<Lesson> {
  const input = exampleInput(info, path)
  if (!input)
    throw new UserError(
      `${path}: takes neither one image nor tokens, so the command line cannot read data for it; quantize it in a program (docs/precision.md)`,
    )
  if (asked.data === undefined && asked.text === undefined)
    throw new UserError(
      `${path} is a file, whose data are not known: name examples like those that it was trained on with ${input.kind === 'tokens' ? '--text FILE' : '--data'}`,
    )
  const preprocessing =
    input.kind === 'image' ? { preprocessing: preprocessingOf(info, input.shape, path) } : {}
  const { classes } = info
  const data = await loadData(input, asked, { ...preprocessing, ...defined({ classes }), notice })
  return { data: readAs(input.name, data), task: classification(), batch: BATCH }
}

/**
 * The model of a run folder, or of an `.onnx` file.
 * @param asked other data than the run's; data for a file
 * @throws UserError when it cannot be read
 */
export async function deployable(
  path: string,
  asked: DataSettings,
  { checkpoint, ...options }: LoadOptions & { readonly checkpoint?: 'last' | 'best' | undefined },
  context: Context,
): Promise<Deployable> {
  if (!(await isFolder(path))) {
    if (checkpoint) throw new UserError(`--checkpoint is for run folders; ${path} is a file`)
    const file = await loadModelFile(path, options)
    return { trained: fileModel(file), lesson: () => lessonOfFile(file, asked, context) }
  }
  const trained = await loadRun(path, context.notice, checkpoint)
  const lesson = async (): Promise<Lesson> => {
    const { data, task, record } = await openRun(path, defined({ ...asked }), context)
    const { augment, batch } = record
    return { data, task, batch, ...(augment ? { augment: augmentation(augment) } : {}) }
  }
  return { trained, lesson }
}
