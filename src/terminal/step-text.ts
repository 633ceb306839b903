import { byteSize } from '../report/words.ts'
import type { StepMemory } from '../train/step-memory.ts'
import { columns, facts } from './text.ts'

const savedBytes = ({ saved }: Pick<StepMemory, 'saved'>): number =>
  [...saved.values()].reduce((a, b) => a + b, 0)

/** For people. */
export function stepText(step: StepMemory): string {
  const { batch, optimizer, recompute, moments } = step
  const again = recompute ? ', cheap activations computed again' : ''
  const kept = `${byteSize(savedBytes(step))} of it saved by the layers`
  const rows = [
    ['step', `batch ${batch}, ${optimizer}${again}`],
    ['computed', `${byteSize(step.peak)} at once, ${kept}`],
    [
      'state',
      `${byteSize(step.state)}: parameters and ${moments} moment${moments === 1 ? '' : 's'}, before and after`,
    ],
    ['constants', byteSize(step.constants)],
    ['input', byteSize(step.input)],
    ['in all', byteSize(step.total)],
  ] as const
  return facts(rows, columns())
}

/** For machines. */
export const stepRecord = ({ batch, optimizer, recompute, ...step }: StepMemory) => ({
  batch,
  optimizer,
  recompute,
  savedBytes: savedBytes(step),
  peakBytes: step.peak,
  stateBytes: step.state,
  constantBytes: step.constants,
  inputBytes: step.input,
  totalBytes: step.total,
})
