import { float16Of } from '../deploy/api.ts'
import type { ExampleOptions } from '../deploy/calibration.ts'
import { optimizeModel } from '../deploy/optimize.ts'
import { placesOf } from '../deploy/proof/places-node.ts'
import type { RuntimeProof } from '../deploy/proof/proof.ts'
import { prove } from '../deploy/proof/prove.ts'
import { refuseSmall } from '../deploy/quantize/layers.ts'
import {
  type CalibrationOptions,
  quantizationAwareModel,
  quantizeDynamically,
  quantizeModel,
} from '../deploy/quantize/quantize.ts'
import { trainingPredictor } from '../deploy/reference.ts'
import { type ExportOptions, exportOnnx } from '../export/export.ts'
import { UserError } from '../graph/errors.ts'
import { defined } from '../graph/keys.ts'
import { show } from '../graph/shape.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { adamW } from '../optim/optimizer.ts'
import { matchesAny, pathsOf } from '../optim/patterns.ts'
import { cosine } from '../optim/schedule.ts'
import type { Runtime } from '../runtime/session.ts'
import { fit } from '../train/fit.ts'
import type { FitOptions } from '../train/fit-options.ts'
import type { Deployable, Lesson } from './deployable-node.ts'

/** What the file of a model computes in. */
export const PRECISIONS = ['float32', 'float16', 'int8', 'int8-dynamic'] as const
export type Precision = (typeof PRECISIONS)[number]

/** How a form of a model is made. */
export interface FormSettings extends Omit<CalibrationOptions, 'data'> {
  /** Epochs of quantization-aware training. @default 0; 1 in {@link smallestForm} where int8 loses too much */
  readonly qat?: number | undefined
  /** Is told which form is being made. */
  readonly onStage?: ((line: string) => void) | undefined
  /** Quantization-aware training of so many epochs begins. */
  readonly onTraining?: ((epochs: number) => void) | undefined
  /** Options of that training. */
  readonly training?: Pick<FitOptions, 'onStep' | 'onEpoch' | 'signal'> | undefined
}

/** A form of a model, in words and as a model. */
export interface Form {
  readonly name: string
  readonly trained: TrainedModel
}

/** Learning rate of quantization-aware training: far below that of the first training, whose result it must preserve. */
const AWARE_RATE = 1e-5

const stopped = (): UserError => new UserError('stopped; nothing was written')

/** An int8 model from quantization-aware training. */
async function aware(
  runtime: Runtime,
  trained: TrainedModel,
  { data, task, augment, batch }: Lesson,
  { qat = 1, onTraining, training, ...options }: FormSettings,
): Promise<TrainedModel> {
  const fixed = Object.values(trained.model.graph.inputs).find(t => typeof t.shape[0] === 'number')
  if (fixed)
    throw new UserError(
      `${trained.model.name}: takes ${show(fixed.shape)}, a batch of fixed size, so it cannot be trained with --qat; export it with an open batch where it comes from`,
    )
  const start = await quantizationAwareModel(runtime, trained, { ...options, data: data.train })
  onTraining?.(qat)
  const { model, end } = await fit(runtime, start, {
    ...{ task, batch, data: { train: data.train }, epochs: qat },
    optimizer: adamW({ lr: AWARE_RATE, weightDecay: 0 }),
    schedule: cosine(),
    ...(augment ? { augment } : {}),
    ...training,
  })
  if (end === 'signal') throw stopped()
  return quantizeModel(
    runtime,
    { ...trained, model: model.model, params: model.params },
    { keep: options.keep },
  )
}

/** A model in a precision, optimized for inference. @throws UserError where it cannot be, or its data are not found */
export async function formOf(
  runtime: Runtime,
  { trained, lesson }: Deployable,
  precision: Precision,
  settings: FormSettings = {},
): Promise<Form> {
  const { qat = 0, keep, reduceRange, onStage, training } = settings
  refuseUnknown(trained, keep)
  if (precision !== 'float32') refuseSmall(trained.model, ['int8'])
  const name = precision === 'int8' && qat ? `${precision} (quantization-aware)` : precision
  onStage?.(name)
  const made = async (): Promise<TrainedModel> => {
    switch (precision) {
      case 'float32':
        return optimizeModel(runtime, trained)
      case 'float16':
        return float16Of(runtime, trained, { ...defined({ keep }), ...(await checkFor(lesson, onStage)) })
      case 'int8-dynamic':
        return quantizeDynamically(runtime, trained, { keep, reduceRange })
      case 'int8': {
        const own = await lesson()
        return qat
          ? aware(runtime, trained, own, settings)
          : quantizeModel(runtime, trained, { ...settings, data: own.data.train })
      }
    }
  }
  const form = await made()
  if (training?.signal?.aborted) throw stopped()
  return { name, trained: form }
}

/** Examples that show where float16 overflows; none for a model whose data are not there: they are a safeguard. */
async function checkFor(
  lesson: Deployable['lesson'],
  onStage: FormSettings['onStage'],
): Promise<ExampleOptions> {
  try {
    return { data: (await lesson()).data.train }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    onStage?.(`only weights are checked for overflow, no examples: ${error.message}`)
    return {}
  }
}

/** @throws UserError for a pattern that no layer matches */
function refuseUnknown({ model }: TrainedModel, keep: FormSettings['keep']): void {
  const names = [...model.parameters.keys()]
  for (const pattern of [keep ?? []].flat())
    if (!names.some(name => pathsOf(name).some(path => matchesAny(pattern, path))))
      throw new UserError(
        `--keep ${String(pattern)}: ${model.name} has no such layer; its weights are ${names.slice(0, MOST_NAMED).join(', ')}${names.length > MOST_NAMED ? ', …' : ''}`,
      )
}

/** Names in a message. */
const MOST_NAMED = 6

/** A form with its accuracy. */
export interface MeasuredForm extends Form {
  readonly bytes: Uint8Array
  /** On the CPU; absent for a model that does not classify, or where nobody gave labels. */
  readonly answers?: RuntimeProof['answers']
}

/** The answers of a form on a test set. @throws UserError where the runtime does not run it */
async function measured(
  runtime: Runtime,
  reference: TrainedModel,
  form: Form,
  { data }: Lesson,
  options: ExportOptions,
): Promise<MeasuredForm> {
  const bytes = exportOnnx(form.trained, options)
  const test = data.test ?? data.val
  if (!test) throw new UserError('the data have no test set to measure accuracy on; name others with --data')
  const runner = trainingPredictor(runtime, reference)
  const proof = await prove(
    { bytes, name: form.name },
    { name: 'the model', runner, bytes: exportOnnx(reference, options) },
    test,
    placesOf(['cpu'], {}),
    { seconds: 0 },
  ).finally(() => runner.close())
  const [cpu] = proof.runtimes
  if (!cpu || cpu.error !== undefined) throw new UserError(`${form.name}: ${cpu?.error ?? 'was not run'}`)
  return { ...form, bytes, ...(cpu.answers ? { answers: cpu.answers } : {}) }
}

/** What was tried, and what it lost. */
export interface Tried {
  readonly name: string
  readonly bytes: number
  /** Points of accuracy. */
  readonly drop: number
  readonly accuracy: number
}

/** Points that a form loses. @throws UserError for a model without accuracy */
function triedOf({ name, bytes, answers }: MeasuredForm): Tried {
  const { accuracy } = answers ?? {}
  if (!accuracy) throw new UserError('--max-drop is for classifiers: accuracy needs classes and labels')
  return { name, bytes: bytes.length, drop: accuracy.drop, accuracy: accuracy.file }
}

/**
 * The smallest form that loses at most some points of accuracy on the test set: int8; int8 after an epoch of quantization-aware training;
 * int8 with ranges found at run time; float16; float32.
 * @param asked the only precision to try
 * @throws UserError where none keeps the accuracy
 */
export async function smallestForm(
  runtime: Runtime,
  source: Deployable,
  maxDrop: number,
  asked: Precision | undefined,
  settings: FormSettings,
  options: ExportOptions,
): Promise<{ readonly form: MeasuredForm; readonly tried: readonly Tried[] }> {
  const lesson = await source.lesson()
  const own = { ...source, lesson: async () => lesson }
  const { qat } = settings
  const ladder: readonly (readonly [Precision, number])[] = [
    ...(qat ? [] : [['int8', 0] as const]),
    ['int8', qat ?? 1],
    ['int8-dynamic', 0],
    ['float16', 0],
    ['float32', 0],
  ]
  const steps = ladder.filter(([precision, epochs]) =>
    asked === undefined ? epochs === 0 || qat !== 0 : precision === asked && (!epochs || qat !== undefined),
  )
  const tried: Tried[] = []
  for (const [precision, epochs] of steps) {
    const form = await formOf(runtime, own, precision, { ...settings, qat: epochs })
    const done = await measured(runtime, source.trained, form, lesson, options)
    const found = triedOf(done)
    tried.push(found)
    if (found.drop <= maxDrop + 1e-9) return { form: done, tried }
  }
  const [best] = tried.toSorted((a, b) => a.drop - b.drop)
  const train = asked === 'int8' && !qat ? ', or add --qat 1 (quantization-aware training)' : ''
  throw new UserError(
    `no form loses at most ${maxDrop} points of accuracy; ${best?.name} loses ${best?.drop.toFixed(2)}: allow more with --max-drop${train}`,
  )
}
