import { dot, lineY, type Markish, ruleY } from '@observablehq/plot'
import { useCallback } from 'preact/hooks'
import type { LabClient } from '../client.ts'
import type { CurvePoint, EpochReport } from '../protocol.ts'
import { Chart } from '../ui/chart.tsx'
import { count, percent } from '../ui/text.ts'

/** Weight of the past in a smoothed curve. */
const SMOOTHNESS = 0.85

/** The whole run, or as much of it as is not mostly empty: a half, a quarter … */
function widthOf(step: number, steps: number): number {
  let width = steps
  while (width > 100 && step < width / 2) width /= 2
  return Math.ceil(width)
}

type Value = 'loss' | 'accuracy'

/** Exponential moving average, without the pull of its start. */
function smoothed(points: readonly CurvePoint[], of: Value): { step: number; value: number }[] {
  let mean = 0
  let weight = 0
  return points.map(point => {
    mean = SMOOTHNESS * mean + (1 - SMOOTHNESS) * point[of]
    weight = SMOOTHNESS * weight + (1 - SMOOTHNESS)
    return { step: point.step, value: mean / weight }
  })
}

function marks(points: readonly CurvePoint[], reports: readonly EpochReport[], of: Value): Markish[] {
  const held = of === 'loss' ? 'testLoss' : 'testAccuracy'
  return [
    ruleY([0], { stroke: 'var(--edge)' }),
    lineY(points, { x: 'step', y: of, stroke: 'var(--train)', strokeOpacity: 0.25, strokeWidth: 1 }),
    lineY(smoothed(points, of), { x: 'step', y: 'value', stroke: 'var(--train)', strokeWidth: 2 }),
    lineY(reports, { x: 'step', y: held, stroke: 'var(--test)', strokeWidth: 1.5 }),
    dot(reports, { x: 'step', y: held, fill: 'var(--test)', stroke: 'var(--card)', r: 4.5 }),
  ]
}

/** Loss and accuracy over the steps, of the training and of what is held out. */
export function Curves({ lab }: { readonly lab: LabClient }) {
  const options = useCallback(
    (of: Value) => (width: number) => {
      const points = lab.curve.value
      const steps = lab.progress.value?.steps ?? points.at(-1)?.step ?? 1
      const top = Math.max(
        0.1,
        ...points.slice(0, 8).map(p => p.loss),
        ...lab.reports.value.map(r => r.testLoss),
      )
      return {
        height: Math.round(Math.min(240, Math.max(160, width * 0.5))),
        marginLeft: 44,
        marginRight: 16,
        marginTop: 12,
        x: {
          domain: [0, widthOf(points.at(-1)?.step ?? 0, steps)],
          label: null,
          ticks: Math.max(2, Math.floor(width / 90)),
          tickFormat: count,
        },
        y: {
          grid: true,
          label: null,
          ticks: 5,
          ...(of === 'loss'
            ? { domain: [0, top], clamp: true }
            : { domain: [0, 1], tickFormat: (v: number) => percent(v, 0) }),
        },
        marks: marks(points, lab.reports.value, of),
      }
    },
    [lab],
  )
  const loss = useCallback(options('loss'), [options])
  const accuracy = useCallback(options('accuracy'), [options])
  return (
    <div class="curves">
      <figure>
        <figcaption>Loss</figcaption>
        <Chart label="Loss by training step" options={loss} />
      </figure>
      <figure>
        <figcaption>Accuracy</figcaption>
        <Chart label="Accuracy by training step" options={accuracy} />
      </figure>
      <p class="key quiet">
        <span>
          <span class="swatch seen" />
          training, smoothed
        </span>
        <span>
          <span class="swatch held" />
          held-out data, after each epoch
        </span>
      </p>
    </div>
  )
}
