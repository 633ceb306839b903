import { featuresOf } from '../data/batches.ts'
import type { DataSource, Dataset, ImageDataset } from '../data/dataset.ts'
import { sizesOf } from '../graph/bind.ts'
import { fieldsOf } from '../graph/keys.ts'
import { lookup, nth } from '../graph/present.ts'
import { shownName } from '../graph/printable.ts'
import { parameterCount } from '../nn/model.ts'
import { type TrainedModel, weightsOf } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { openPredictor } from '../train/predictor.ts'
import { type Answers, answersOf } from './answers.ts'
import { attentionOf } from './attention.ts'
import { reliability } from './calibration-node.ts'
import { glow } from './colour.ts'
import type { Confusion } from './confusion.ts'
import { curves } from './curves-node.ts'
import { type Config, head, titleOf } from './head.ts'
import { type Html, html } from './html.ts'
import { metricsOf, type RunLog } from './log.ts'
import { page, type Section } from './page.ts'
import { cells } from './picture-node.ts'
import { calibrationError, classScores } from './scores.ts'
import { gazes, mistakes, positions } from './seen-node.ts'
import { classTable, confusionList, confusionTable, epochTable, settingsTable, timings } from './tables.ts'
import { count, percent } from './text.ts'

/** What the report of a run folder needs beside the folder. */
export interface ReportSource {
  /** The run's model with its weights. */
  readonly trained: TrainedModel
  /** The run's data. */
  readonly data: DataSource
  /** Where the model is evaluated. */
  readonly runtime: Runtime
  /** Threads of one op. @default the physical cores */
  readonly threads?: number | undefined
}

/** What a report is made of. */
export interface Reported extends ReportSource {
  /** `config.json` of the run. */
  readonly config: Config
  readonly log: RunLog
  /** When the run wrote its last line. */
  readonly finished?: Date | undefined
}

/** Pictures of wrong answers, and of what is looked at: of right answers and of wrong ones. */
const SHOWN = { worst: 24, right: 4, wrong: 2 } as const

/** Of more classes there is a picture without numbers. */
const MOST_IN_TABLE = 20

/** Of more classes there is only the list of the most frequent confusions. */
const MOST_IN_PICTURE = 1000

/** Of more classes the table holds those that are told worst. */
const MOST_CLASSES = 100

/** Names of the parameter that holds a model's positions, `[1, T, dim]` or `[T, dim]`. */
const POSITIONS = ['pos_embed', 'positional_emb', 'wpe']

/** The test set of a classifier's run, whose answers can be counted, class by class; undefined for any other run. */
const classified = ({ trained: { model }, log, data: { test } }: Reported): Dataset | undefined =>
  Object.hasOwn(model.outputs, 'logits') &&
  test !== undefined &&
  Object.hasOwn('arrays' in test ? test.arrays : (featuresOf(test) ?? {}), 'label') &&
  (log.epochs.length === 0 || metricsOf(log).includes('accuracy'))
    ? test
    : undefined

/**
 * The whole report of a run as a page: what it measured, and of a classifier its answers on the test set. Of data that are not images
 * it shows none.
 * @throws UserError when the model does not fit the test set
 */
export async function reportOf(about: Reported): Promise<string> {
  const { config, log, trained, data } = about
  const tokens = Object.hasOwn(trained.model.inputs, 'tokens')
  const test = classified(about)
  const { answers, sections } = test ? await answerSections(about, test, tokens) : { sections: [] }
  const { origin } = fieldsOf(config.data)
  const top = head({
    ...{ config, log, tokens, answers, finished: about.finished },
    parameters: parameterCount(trained.model),
    trainedOn: examplesOf(about),
    testedOn: data.test?.size,
    origin: typeof origin === 'string' ? origin : data.origin,
  })
  const all = [...curveSections(about, tokens), ...sections, ...settingSections(about)]
  return page(`${titleOf(config)} – training report`, top, all)
}

/** What a classifier answers on the test set. */
async function answerSections(
  about: Reported,
  test: Dataset,
  tokens: boolean,
): Promise<{ readonly answers: Answers; readonly sections: readonly Section[] }> {
  const { trained, runtime, threads } = about
  const predictor = await openPredictor(runtime, trained, { name: trained.model.name, threads })
  const answers = await answersOf(predictor, test, SHOWN).finally(() => predictor.close())
  const names = trained.classes ?? test.classes ?? []
  const name = (label: number) => shownName(names[label] ?? String(label))
  const sections = [
    ...(await classSections(answers, name, tokens)),
    ...('images' in test ? await imageSections(about, test.shape, answers, name) : []),
    ...beside([...(await positionSections(trained)), calibrationSection(answers)]),
  ]
  return { answers, sections }
}

/** Sections side by side, where there are two. */
const beside = (sections: readonly Section[]): Section[] =>
  sections.map(section => ({ ...section, half: sections.length === 2 }))

/** What examples of a run are called. */
function examplesName({ data: { train } }: Reported, tokens: boolean): string {
  if (tokens) return 'Rows'
  return 'images' in train ? 'Images' : 'Examples'
}

const curveSections = (about: Reported, tokens: boolean): Section[] => {
  const { log } = about
  return log.epochs.length + log.steps.length
    ? [
        {
          id: 'curves',
          title: 'Curves',
          body: html`${curves(log, examplesName(about, tokens))}${log.epochs.length > 0 && epochTable(log)}`,
        },
      ]
    : []
}

async function classSections(
  { confusion, count: examples, accuracy }: Answers,
  name: (label: number) => string,
  tokens: boolean,
): Promise<Section[]> {
  const few = confusion.classes <= MOST_IN_TABLE
  const body = few
    ? html`<div class="beside">${confusionTable(confusion.rows(), name)}${confusionList(confusion, name, 10)}</div>`
    : html`<div class="beside">${confusion.classes <= MOST_IN_PICTURE && (await matrix(confusion))}${confusionList(confusion, name)}</div>`
  const scores = classScores(confusion).map((score, label) => ({ score, label }))
  const shown =
    scores.length <= MOST_CLASSES
      ? scores
      : scores
          .filter(s => s.score.count)
          .sort((a, b) => a.score.f1 - b.score.f1)
          .slice(0, MOST_CLASSES)
  const classes = classTable(
    shown.map(s => s.score),
    scores.map(s => s.score),
    i => name(nth(shown, i).label),
    s => name(s),
  )
  const wrong = Math.round((1 - accuracy) * examples)
  return [
    {
      id: 'confusion',
      title: 'Confusion matrix',
      lead: `${count(wrong)} of ${count(examples)} ${tokens ? 'characters' : 'test examples'} are misclassified.`,
      body,
    },
    {
      id: 'classes',
      title: 'Classes',
      lead: `Precision: share of the predictions of a class that are correct. Recall: share of its examples that are found. F1: their harmonic mean.${shown.length < scores.length ? ` The ${MOST_CLASSES} classes with the lowest F1 are shown.` : ''}`,
      body: few
        ? classes
        : html`<details><summary>${count(shown.length)} classes</summary>${classes}</details>`,
    },
  ]
}

/** Who is taken for whom, without numbers. */
async function matrix(confusion: Confusion): Promise<Html> {
  const rows = confusion.rows()
  const most = rows.map(row => Math.log1p(row.reduce((a, b) => a + b, 0)) || 1)
  const size = rows.length
  const picture = await cells(size, size, (y, x) => glow(Math.log1p(nth(nth(rows, y), x)) / nth(most, y)))
  return html`<figure class="matrix"><img src="${picture}" alt="Confusion matrix of ${size} classes, without numbers"><figcaption><small>Rows: true class. Columns: predicted class. Brighter means more, on a logarithmic scale.</small></figcaption></figure>`
}

async function imageSections(
  { trained, runtime }: Reported,
  shape: ImageDataset['shape'],
  { worst, right }: Answers,
  name: (label: number) => string,
): Promise<Section[]> {
  const looked = [...right, ...worst.slice(0, SHOWN.wrong)]
  const attention = await attentionOf(
    runtime,
    trained,
    looked.map(a => a.pixels),
  )
  const sections: Section[] = [
    {
      id: 'mistakes',
      title: 'Worst mistakes',
      lead: `Misclassified test images with the highest loss: true class → predicted class, confidence, and index in the test set.`,
      body: await mistakes(worst, shape, name),
    },
  ]
  if (attention)
    sections.push({
      id: 'attention',
      title: 'Attention',
      lead: `Left: the image, and the same image with the places lit that reach the head through all blocks (attention rollout, Abnar & Zuidema 2020). Right: what ${attention.reader} attends to, one map for each block (rows, from first to last) and head (columns); each is brightest at its own largest value.`,
      body: await gazes(attention, looked, shape, name),
    })
  return sections
}

async function positionSections(trained: TrainedModel): Promise<Section[]> {
  const { model } = trained
  const parameters = weightsOf(trained)
  const name = POSITIONS.find(n => parameters.has(n))
  if (!name) return []
  const [rows = 0] = sizesOf(lookup(model.parameters, name).shape.slice(-2))
  const inRow = Object.hasOwn(model.inputs, 'tokens')
  return [
    {
      id: 'positions',
      title: 'Positions',
      lead: inRow
        ? 'How alike the learned position embeddings are, each row and column a position: by the cosine of their angle.'
        : 'How alike the learned position embeddings are, one small map for each place of the image, laid out as the image: the cosine of its angle with that of every place (as Dosovitskiy et al. 2021, figure 7).',
      body: await positions(lookup(parameters, name), rows, inRow),
    },
  ]
}

function calibrationSection({ bins }: Answers): Section {
  return {
    id: 'calibration',
    title: 'Calibration',
    lead: `Is it right as often as it is sure? Expected calibration error ${percent(calibrationError(bins), 2)}: how far certainty and accuracy are apart on average (Guo et al. 2017). Bars below the line mean that it is too sure; faint bars stand for fewer than 10 answers.`,
    body: reliability(bins),
  }
}

/** Examples of an epoch, where that is known. Runs of releases up to 0.1.0 say `images`. */
function examplesOf({ config, data }: Reported): number | undefined {
  const recorded = config.examples ?? config.images
  return typeof recorded === 'number' ? recorded : data.train.size
}

function settingSections(about: Reported): Section[] {
  const { log, config } = about
  const times = timings(log, examplesOf(about))
  return [
    ...(times ? [{ id: 'timings', title: 'Time', body: times }] : []),
    { id: 'settings', title: 'Settings', lead: 'All that config.json says.', body: settingsTable(config) },
  ]
}
