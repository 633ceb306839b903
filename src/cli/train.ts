import type { CommandModule } from 'yargs'
import type { Dataset } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import { parameterCount } from '../nn/model.ts'
import { nodeRuntime } from '../runtime/node.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { fit } from '../train/fit.ts'
import { layoutOf } from '../train/layout.ts'
import { type TrainedModel, toOnnx, trainedModel } from '../train/trained.ts'
import { trainingPredictor, type Verdict, verify } from '../train/verify.ts'
import { VERSION } from '../version.ts'
import { duration, note, percent, result, say } from './output.ts'
import { reporter } from './progress.ts'
import { columns, facts, inWords } from './text.ts'
import { type TrainFlags, trainFlags } from './train-flags.ts'
import { newPlan, resumedPlan } from './train-plan.ts'

/** The file held against the graph that was trained, on the runtimes that its users have. */
async function verdictsOn(trained: TrainedModel, bytes: Uint8Array, examples: Dataset): Promise<Verdict[]> {
  const runtimes = [await nodeRuntime('cpu'), await nodeRuntime('wasm')]
  const reference = await trainingPredictor(runtimes[0]!, trained)
  const verdicts = await verify(bytes, reference, examples, runtimes)
  await reference.close()
  return verdicts
}

const count = (n: number): string => n.toLocaleString('en-US')

/** The line that says how it is trained. */
const method = ({ name: rule, ...settings }: { readonly name: string }) =>
  Object.keys(settings).length ? `${rule} (${inWords(settings)})` : rule

async function handler(flags: TrainFlags): Promise<void> {
  const plan = await (flags.resume === undefined ? newPlan(flags) : resumedPlan(flags.resume, flags))
  const { model, data, record, folder, optimizer, schedule } = plan
  const runtime = await workerRuntime(flags.device)
  const { epochs, batch, seed, labelSmoothing = 0, clipNorm } = record
  const parameters = parameterCount(model)
  const resolved = {
    ...record,
    model: { ...record.model, preset: plan.label },
    parameters,
    data: { origin: data.origin, train: data.train.size, test: data.test.size },
    recompute: flags.recompute,
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    device: runtime.device.name,
    versions: { onnxgrad: VERSION, onnxruntime: runtime.version, node: process.versions.node },
  }
  const about = [
    ['model', `${model.name} ${plan.label}: ${inWords(model.config)}; ${count(parameters)} parameters`],
    ['data', `${data.origin}: ${count(data.train.size)} to train on, ${count(data.test.size)} to test on`],
    [
      'training',
      `${epochs} epochs of batch ${batch}, ${method(record.optimizer)}, ${method(record.schedule)} schedule, seed ${seed}`,
    ],
    ['device', `${runtime.device.name} (onnxruntime ${runtime.version})`],
    ['run', folder.path],
  ] as const
  say(facts(about, columns()))
  if (data.notice) note(`NOTE      ${data.notice}`)

  const stop = new AbortController()
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(130)
    note('\nstopping after this step; press Ctrl-C again to stop at once')
    stop.abort()
  }
  process.on('SIGINT', interrupt)
  const progress = reporter(epochs)
  const layout = layoutOf(model.parameters)
  let { best } = plan
  try {
    const run = await fit(model, runtime, data, {
      epochs,
      batch,
      seed,
      optimizer,
      schedule,
      labelSmoothing,
      recompute: flags.recompute,
      ...(flags['steps-per-run'] === undefined ? {} : { stepsPerRun: flags['steps-per-run'] }),
      ...(clipNorm === undefined ? {} : { clipNorm }),
      ...(flags.threads === undefined ? {} : { threads: flags.threads }),
      ...(plan.from ? { resume: plan.from } : {}),
      signal: stop.signal,
      // Not before: a setting that cannot be compiled must cost no folder, and no older run its files.
      onReady: () => (plan.goesOn ? undefined : folder.begin(resolved)),
      onStep: progress.step,
      async onEpoch(epoch, state) {
        progress.epoch(epoch)
        await folder.record(epoch)
        const { epoch: epochsDone, step: steps, testAccuracy, trainLoss } = epoch
        const about = { epochs: epochsDone, steps, testAccuracy, trainLoss }
        const now = await state()
        const reached = { ...record, step: steps }
        await folder.checkpoint('last', layout, now, reached, about)
        if (testAccuracy > best) await folder.checkpoint('best', layout, now, reached, about)
        best = Math.max(best, testAccuracy)
      },
    })
    const trained = trainedModel(model, data, run)
    const reached = { ...record, step: run.steps }
    await folder.checkpoint('last', run.layout, run.state, reached, trained.training ?? {})
    const bytes = toOnnx(trained)
    await folder.model(bytes)
    const verdicts = flags.verify && !run.stopped ? await verdictsOn(trained, bytes, data.test) : []
    const summary = {
      testAccuracy: run.test.accuracy,
      trainAccuracy: run.train.accuracy,
      testLoss: run.test.loss,
      trainLoss: run.train.loss,
      epochs: run.epochs.at(-1)?.epoch ?? 0,
      steps: run.steps,
      stopped: run.stopped,
      seconds: run.seconds,
      setupSeconds: run.setupSeconds,
      imagesPerSecond: run.imagesPerSecond,
      dataWaitShare: run.dataWaitShare,
      parameters,
      device: runtime.device.name,
      out: folder.path,
      ...(verdicts.length ? { verified: verdicts.every(v => v.ok) } : {}),
    }
    await folder.record({ final: true, ...summary })
    say(
      `${(run.stopped ? 'stopped' : 'done').padEnd(10)}test ${percent(run.test.accuracy)} of ${count(run.test.count)}, train ${percent(run.train.accuracy)}, ${run.steps} steps in ${duration(run.seconds)}`,
    )
    say(`model     ${folder.file('model')}`)
    for (const v of verdicts)
      say(
        `verified  ${v.runtime} ${v.version}: ${v.error ?? `max abs diff ${v.maxAbsDiff.toExponential(1)}`}`,
      )
    result(summary)
    if (run.stopped) process.exitCode = 130
    if (summary.verified === false)
      throw new UserError(
        `${folder.file('model')} does not give the trained model's numbers on every runtime`,
      )
  } finally {
    progress.end()
    process.off('SIGINT', interrupt)
    await runtime.close()
  }
}

export const trainVerb: CommandModule<object, TrainFlags> = {
  command: 'train [model]',
  describe: 'Train a model on MNIST; writes a run folder with checkpoints and model.onnx',
  builder: trainFlags,
  handler,
}
