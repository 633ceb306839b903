import { join } from 'node:path'
import { EventWriter } from '../report/tensorboard-node.ts'
import type { EpochResult, Progress } from '../train/progress.ts'
import type { RunFolder } from '../train/run-node.ts'

/** About how many lines of steps a run has. */
const LINES = 1000

/** Folder of TensorBoard's event files in a run folder. */
const TENSORBOARD = 'tensorboard'

/** Names of an epoch's figures in TensorBoard, which shows those with the same first word beside each other. */
const TAGS: Readonly<Partial<Record<keyof EpochResult, string>>> = {
  trainLoss: 'loss/train',
  valLoss: 'loss/val',
  testLoss: 'loss/test',
  trainAccuracy: 'accuracy/train',
  valAccuracy: 'accuracy/val',
  testAccuracy: 'accuracy/test',
  imagesPerSecond: 'speed/images per second',
}

/**
 * Writes down how a run goes: epochs into `metrics.jsonl`, means over a few steps into `steps.jsonl`, and both into event files
 * for TensorBoard where that is asked for. @param from steps done before
 */
export function runLog(folder: RunFolder, { tensorboard = false, from = 0 }) {
  let events: Promise<EventWriter> | undefined
  const show = async (step: number, scalars: Readonly<Record<string, number>>): Promise<void> => {
    if (!tensorboard) return
    events ??= EventWriter.open(join(folder.path, TENSORBOARD), from)
    await (await events).add(step, scalars)
  }
  let [loss, gradNorm, steps] = [0, 0, 0]
  return {
    async step(p: Progress): Promise<void> {
      loss += p.stepLoss
      gradNorm += p.gradNorm
      steps++
      if (p.step % Math.ceil(p.steps / LINES) && p.step < p.steps) return
      const { step, epoch, lr } = p
      const means = { loss: loss / steps, gradNorm: gradNorm / steps }
      await folder.record({ step, epoch, lr, ...means }, 'steps')
      await show(step, { 'loss/step': means.loss, 'gradient/norm': means.gradNorm, 'learning rate': lr })
      ;[loss, gradNorm, steps] = [0, 0, 0]
    },
    async epoch(result: EpochResult): Promise<void> {
      await folder.record(result)
      const known = Object.entries(TAGS).map(([key, tag]) => [tag, result[key as keyof EpochResult]])
      await show(result.step, Object.fromEntries(known.filter(([, value]) => value !== undefined)))
    },
  }
}
