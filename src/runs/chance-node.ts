import { batches } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import { shownName } from '../graph/printable.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Measured } from '../train/measured.ts'
import { openPredictor } from '../train/predictor.ts'
import { argmaxAt } from '../train/scores.ts'
import type { Context } from './definition.ts'
import type { RunRecord } from './record.ts'

/** Accuracy of guessing, with some luck. */
const LUCK = 1.2

/** Examples that are looked at. */
const BATCH = 256

/** Whether a classifier does no better than guessing. */
export const isGuessing = ({ accuracy }: Measured, classes: number): boolean =>
  classes > 1 && accuracy !== undefined && accuracy <= LUCK / classes

const percent = (share: number): string => `${(100 * share).toFixed(share < 1 ? 1 : 0)} %`

/** What a model that does no better than guessing answers, and what to try. @param held what it was judged on */
export async function guessingLine(
  trained: TrainedModel,
  held: Dataset,
  { accuracy = 0 }: Measured,
  runtime: Runtime,
  record: Omit<RunRecord, 'step'>,
  { label }: Pick<Context, 'label'>,
): Promise<string> {
  const predictor = await openPredictor(runtime, trained)
  const counts = new Map<number, number>()
  let seen = 0
  try {
    for await (const batch of batches(held, { batch: BATCH, shuffle: false })) {
      const inputs = Object.fromEntries(Object.keys(predictor.inputs).map(name => [name, batch[name]]))
      const { logits } = await predictor.run(inputs as Parameters<typeof predictor.run>[0])
      const classes = Number(logits?.dims.at(-1))
      if (!(logits?.data instanceof Float32Array) || !classes) break
      for (let at = 0; at < logits.data.length; at += classes, seen++) {
        const answer = argmaxAt(logits.data, at, classes)
        counts.set(answer, (counts.get(answer) ?? 0) + 1)
      }
      break
    }
  } finally {
    await predictor.close()
  }
  const [most, count] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [0, 0]
  const name = shownName(trained.classes?.[most] ?? String(most))
  const share = seen ? count / seen : 0
  const answers =
    share > 0.9
      ? `it predicts ${name} for ${percent(share)} of the examples`
      : `its most frequent prediction is ${name}, for ${percent(share)} of the examples`
  const lr = Number(record.optimizer.lr)
  const warmup = record.warmup ?? 0
  const tries = [
    `a lower learning rate (${label('lr')} ${Number((lr / 10).toPrecision(2))}, now ${lr})`,
    ...(warmup < 1 && record.epochs > 1 ? [`a longer warm-up (${label('warmup')} 1, now ${warmup})`] : []),
  ]
  return `accuracy ${percent(accuracy)} is at the level of guessing: ${answers}; try ${tries.join(', or ')}`
}
