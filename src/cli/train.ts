import type { Argv } from 'yargs'
import { MODELS } from '../../models/index.ts'
import { preprocessingInWords } from '../data/preprocess.ts'
import { leastRuntime } from '../export/opsets.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import { parameterCount } from '../nn/model.ts'
import { count } from '../report/text.ts'
import { inWords } from '../report/words.ts'
import { flagOf } from '../runs/command.ts'
import type { Definition, SettingValues } from '../runs/definition.ts'
import { holdsRepeats } from '../runs/repeat-node.ts'
import { type RunStart, resumeRun, trainRun } from '../runs/run-node.ts'
import type { RunResult } from '../runs/train-node.ts'
import { trainedCount } from '../runs/tuning.ts'
import { profileLines } from '../runtime/profile-node.ts'
import { duration, note, percent, result, say, sayLines } from '../terminal/output.ts'
import { followed } from '../terminal/progress.ts'
import { columns, facts } from '../terminal/text.ts'
import { measureKey, measureOf, type SetName } from '../train/progress.ts'
import { definitionAsked, named } from './definition-in.ts'
import { KNOWN, optionsOf, ownSchema, settingsIn } from './flags.ts'
import { readFlags } from './options.ts'
import { repeat } from './repeat.ts'
import { shownConfig, tuningInWords } from './tuning-words.ts'
import type { Verb } from './verb.ts'

/** Flags of `train`. @param own the module that is trained */
export const trainFlags = (yargs: Argv, own?: Definition) =>
  yargs
    .positional('model', {
      type: 'string',
      describe: `${Object.keys(MODELS).join(', ')}; an .onnx file, which is trained further; or a module (.ts, .js) with: export default defineRun({ … }); not needed with --resume`,
    })
    .options(optionsOf(own ? ownSchema(own) : KNOWN))
    .option('resume', {
      type: 'string',
      requiresArg: true,
      describe:
        'Resume the run of a folder or a checkpoint file; the result is the same as without the interruption',
      group: 'Training:',
    })
    .option('repeats', {
      requiresArg: true,
      describe:
        'Train this many times, with seeds counted from --seed, each in its own folder in --out; prints mean and standard deviation',
      group: 'Training:',
    })
    .config('config', 'JSON file with any of these flags; flags on the command line win', readFlags)
    .example('$0 train vit', "the lecture's ViT on MNIST, 5 epochs")
    .example(
      '$0 train vit --preset best',
      'above 99.5 %: augmentation, averaged weights, best epoch by a validation split',
    )
    .example('$0 train vit --patch 4 --dim 96 --depth 6 --heads 6 --mlp 192', 'another size')
    .example('$0 train my-run.ts --epochs 20', 'your own model, task and data')
    .example(
      '$0 train resnet18.onnx --data pictures/',
      'fine-tune a file: a new head for the classes of your pictures',
    )
    .example(
      '$0 train vit --preset tiny16 --weights vit.safetensors --data pictures/',
      'fine-tune weights of timm',
    )
    .example('$0 train --resume runs/vit-lecture', 'resume a run that was stopped')

/** The words that say how it is trained. */
const method = ({
  name: rule,
  groups: _,
  ...settings
}: {
  readonly name: string
  readonly groups?: unknown
}) => (Object.keys(settings).length ? `${rule} (${inWords(settings)})` : rule)

/** What a run says of itself before it begins. */
function aboutRun({ plan, runtime, out }: RunStart) {
  const { model, label, data, record } = plan
  const { epochs, batch, accumulate = 1, seed, ema, labelSmoothing, clipNorm, patience } = record
  const sets = [
    ['to train on', data.train],
    ['to validate on', data.val],
    ['to test on', data.test],
  ] as const
  const sizes = sets.flatMap(([purpose, set]) =>
    set ? [`${set.size === undefined ? 'some' : count(set.size)} ${purpose}`] : [],
  )
  const batches = accumulate > 1 ? `${accumulate} batches of ${batch} a step` : `batch ${batch}`
  const more = Object.entries({ ema, labelSmoothing: labelSmoothing || undefined, clipNorm, patience })
  const extras = inWords(Object.fromEntries(more.filter(([, value]) => value !== undefined)))
  const name = [record.model.name, label].filter(Boolean).join(' ')
  const own = shownConfig(record.model.config)
  const config = Object.keys(own).length ? `: ${inWords(own)}` : ''
  const tuning = tuningInWords(record)
  return [
    ['model', `${name}${config}; ${count(parameterCount(model))} parameters`],
    ['data', `${data.origin}: ${sizes.join(', ')}`],
    ...(record.preprocessing && 'images' in data.train
      ? [['images', preprocessingInWords(record.preprocessing, data.train.shape)] as const]
      : []),
    ...(record.augment ? [['augment', inWords(record.augment)] as const] : []),
    [
      'training',
      `${epochs} epochs, ${batches}, ${method(record.optimizer)}, ${method(record.schedule)} schedule, ${extras && `${extras}, `}seed ${seed}`,
    ],
    ...(tuning
      ? [['tuning', `${tuning}; ${count(trainedCount(plan))} parameters are trained`] as const]
      : []),
    ['device', `${runtime.device.name} (onnxruntime ${runtime.version})`],
    ['run', out],
  ] as const
}

/** What a set was measured by: the accuracy of a classifier, else loss and metrics. */
function measured(summary: object, set: SetName): string {
  const accuracy = fieldsOf(summary)[measureKey(set, 'accuracy')]
  if (typeof accuracy === 'number') return percent(accuracy)
  return Object.entries(summary)
    .flatMap(([key, value]) => {
      const of = measureOf(key)
      return of?.set === set && typeof value === 'number'
        ? [`${of.measure.toLowerCase()} ${value.toPrecision(4)}`]
        : []
    })
    .join(', ')
}

function tell({ summary, verdicts }: RunResult, { plan }: RunStart): void {
  const { stopped, bestEpoch, steps, seconds, end, out } = summary
  const { test } = plan.data
  const parts = [
    test && `test ${measured(summary, 'test')}${test.size === undefined ? '' : ` of ${count(test.size)}`}`,
    plan.data.val && `validation ${measured(summary, 'val')} (epoch ${bestEpoch})`,
    `train ${measured(summary, 'train')}`,
    `${steps} steps in ${duration(seconds)}`,
  ]
  say(`${(stopped ? 'stopped' : 'done').padEnd(10)}${parts.filter(Boolean).join(', ')}`)
  if (end === 'patience') note(`stopped early: no epoch after ${bestEpoch} was better`)
  say(`model     ${plan.folder.file('model')}  (onnxruntime ${leastRuntime()} and later)`)
  if (plan.execution.report && !stopped) say(`report    ${plan.folder.file('report')}`)
  for (const v of verdicts)
    say(`verified  ${v.runtime} ${v.version}: ${v.error ?? `max abs diff ${v.maxAbsDiff.toExponential(1)}`}`)
  if (stopped) note(`to resume: npx onnxgrad train --resume ${out}`)
}

type Flags = { readonly model?: string | undefined; readonly resume?: string; readonly repeats?: unknown }

/** @param own the module that is trained */
export async function train(argv: SettingValues & Flags, own?: Definition): Promise<void> {
  const { model, resume } = argv
  const asked = settingsIn(own ? ownSchema(own) : KNOWN, argv)
  if (resume === undefined && model === undefined)
    throw new UserError('say what to train, such as: onnxgrad train vit')
  if (argv.repeats !== undefined || (resume !== undefined && (await holdsRepeats(resume))))
    return repeat(own ?? model, asked, argv)
  const follow = followed(flagOf)
  let start: RunStart | undefined
  const options = {
    ...follow.options,
    onStart(begun: RunStart) {
      start = begun
      follow.begin(begun.plan.record.epochs)
      sayLines(facts(aboutRun(begun), columns()))
    },
  }
  try {
    const known = (own ?? model) as 'vit'
    const outcome = await (resume === undefined
      ? trainRun({ ...asked, model: known }, options)
      : resumeRun(resume, { ...asked, ...(await named(own ?? model)) }, options))
    follow.pause()
    if (start) tell(outcome, start)
    if (outcome.profile) sayLines(`\n${profileLines(outcome.profile).join('\n')}`)
    result({ ...outcome.summary, ...(outcome.profile ? { profile: outcome.profile } : {}) })
    if (outcome.summary.stopped) process.exitCode = follow.code
    if (outcome.summary.verified === false)
      throw new UserError(
        `${outcome.summary.out}/model.onnx does not give the trained model's numbers on every runtime`,
      )
  } finally {
    follow.end()
  }
}

export const trainVerb: Verb<Flags> = {
  builder: async yargs => trainFlags(yargs, await definitionAsked()),
  handler: async argv => train({ ...argv }, await definitionAsked()),
}
