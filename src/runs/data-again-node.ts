import { presumedPreprocessing } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import type { ExampleInput } from '../train/classifier.ts'
import { type LabelledSource, loadData, sourceAgain, sourceOf } from './data-node.ts'
import type { Reopening, SettingValues } from './definition.ts'
import type { RunRecord } from './record.ts'

/** The data of a classifier's run that is resumed, and where they are. @throws UserError when they are not found, or are others */
export async function dataAgain(
  input: ExampleInput,
  record: Omit<RunRecord, 'step'>,
  source: SettingValues,
  { changes, begun: _, ...context }: Reopening,
): Promise<{ readonly data: LabelledSource; readonly source: SettingValues }> {
  const { classes = [], preprocessing = presumedPreprocessing(input.shape, classes), valSplit } = record
  const settings = { ...sourceAgain(source, changes), valSplit }
  const data = await loadData(input, settings, { classes, preprocessing, ...context })
  if (data.fromPictures && !record.preprocessing)
    throw new UserError(
      `the run's pictures were prepared in another way by onnxgrad ${record.versions?.onnxgrad ?? '0.1.0'}; resume it with that release, or train it again from the start`,
    )
  return { data, source: sourceOf(settings, data) }
}
