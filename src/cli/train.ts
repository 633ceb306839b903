import { preprocessingInWords } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { parameterCount } from '../nn/model.ts'
import type { Runtime } from '../runtime/session.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { interruptible } from './interrupt.ts'
import { duration, note, percent, result, say, sayLines } from './output.ts'
import { reporter } from './progress.ts'
import { asksForRepeats, repeat } from './repeat.ts'
import { type Outcome, runPlan } from './run-plan.ts'
import { columns, facts, inWords } from './text.ts'
import { type TrainFlags, trainFlags } from './train-flags.ts'
import { newPlan, type Plan, resumedPlan } from './train-plan.ts'
import type { Verb } from './verb.ts'

const count = (n: number): string => n.toLocaleString('en-US')

/** The words that say how it is trained. */
const method = ({ name: rule, ...settings }: { readonly name: string }) =>
  Object.keys(settings).length ? `${rule} (${inWords(settings)})` : rule

/** What a plan says of itself before it begins. */
function aboutPlan({ model, label, data, record, folder }: Plan, runtime: Runtime) {
  const { epochs, batch, accumulate = 1, seed, ema, labelSmoothing, clipNorm, patience } = record
  const held = data.val ? `${count(data.val.size)} to validate on, ` : ''
  const batches = accumulate > 1 ? `${accumulate} batches of ${batch} a step` : `batch ${batch}`
  const more = Object.entries({ ema, labelSmoothing: labelSmoothing || undefined, clipNorm, patience })
  const extras = inWords(Object.fromEntries(more.filter(([, value]) => value !== undefined)))
  return [
    ['model', `${model.name} ${label}: ${inWords(model.config)}; ${count(parameterCount(model))} parameters`],
    [
      'data',
      `${data.origin}: ${count(data.train.size)} to train on, ${held}${count(data.test.size)} to test on`,
    ],
    ...(record.preprocessing && 'images' in data.train
      ? [['images', preprocessingInWords(record.preprocessing, data.train.shape)] as const]
      : []),
    ...(record.augment ? [['augment', inWords(record.augment)] as const] : []),
    [
      'training',
      `${epochs} epochs, ${batches}, ${method(record.optimizer)}, ${method(record.schedule)} schedule, ${extras && `${extras}, `}seed ${seed}`,
    ],
    ['device', `${runtime.device.name} (onnxruntime ${runtime.version})`],
    ['run', folder.path],
  ] as const
}

function tell({ summary, verdicts }: Outcome, plan: Plan, reported: boolean): void {
  const { stopped, testAccuracy, trainAccuracy, valAccuracy, bestEpoch, steps, seconds, end } = summary
  const val = valAccuracy === undefined ? '' : `, validation ${percent(valAccuracy)} (epoch ${bestEpoch})`
  say(
    `${(stopped ? 'stopped' : 'done').padEnd(10)}test ${percent(testAccuracy)} of ${count(plan.data.test.size)}${val}, train ${percent(trainAccuracy)}, ${steps} steps in ${duration(seconds)}`,
  )
  if (end === 'patience') note(`stopped early: no epoch after ${bestEpoch} was better`)
  say(`model     ${plan.folder.file('model')}`)
  if (reported) say(`report    ${plan.folder.file('report')}`)
  for (const v of verdicts)
    say(`verified  ${v.runtime} ${v.version}: ${v.error ?? `max abs diff ${v.maxAbsDiff.toExponential(1)}`}`)
}

async function handler(flags: TrainFlags): Promise<void> {
  if (await asksForRepeats(flags)) return repeat(flags)
  const plan = await (flags.resume === undefined ? newPlan(flags) : resumedPlan(flags.resume, flags))
  const runtime = await workerRuntime(plan.record.device ?? 'cpu')
  const interrupt = interruptible()
  const progress = reporter(plan.record.epochs)
  try {
    sayLines(facts(aboutPlan(plan, runtime), columns()))
    const began = plan.record.versions?.onnxruntime
    if (began !== undefined && began !== runtime.version)
      note(
        `NOTE      onnxruntime ${began} started this run and ${runtime.version} continues it: numbers may differ in the last digits`,
      )
    if (plan.data.notice) note(`NOTE      ${plan.data.notice}`)
    const outcome = await runPlan(
      plan,
      runtime,
      {
        recompute: flags.recompute,
        stepsPerRun: flags['steps-per-run'],
        saveEvery: flags['save-every'],
        verify: flags.verify,
        report: flags.report,
        tensorboard: flags.tensorboard,
      },
      { ...progress, signal: interrupt.signal },
    )
    progress.end()
    tell(outcome, plan, flags.report && !outcome.summary.stopped)
    result(outcome.summary)
    if (outcome.summary.stopped) process.exitCode = interrupt.code
    if (outcome.summary.verified === false)
      throw new UserError(
        `${plan.folder.file('model')} does not give the trained model's numbers on every runtime`,
      )
  } finally {
    progress.end()
    interrupt.end()
    plan.folder.close()
    await runtime.close()
  }
}

export const trainVerb: Verb<TrainFlags> = {
  builder: trainFlags,
  handler,
}
