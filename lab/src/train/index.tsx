import type { LabClient } from '../client.ts'
import { Outcome } from './outcome.tsx'
import { Setup } from './setup.tsx'
import { Standing } from './standing.tsx'
import './train.css'

/** Choose a model and data, train, and watch. */
export function TrainView({ lab }: { readonly lab: LabClient }) {
  return (
    <div class="train" data-started={lab.running.value !== 'idle' || lab.progress.value !== undefined}>
      <Setup lab={lab} />
      <div class="stack">
        <Standing lab={lab} />
        <Outcome lab={lab} />
      </div>
    </div>
  )
}
