import { nth } from '../../../src/graph/present.ts'
import { Numbers, Step } from './parts.tsx'
import { decimal } from './sight.ts'

export interface NormsProps {
  /** Length of each token before the first block and after each. */
  readonly values: readonly Float32Array[]
  /** The one to be marked beside CLS. */
  readonly token: number
}

/** Norms of the tokens' vectors, block by block. */
export function Norms({ values, token }: NormsProps) {
  const top = Math.max(...values.flatMap(v => [...v]))
  const tokens = nth(values, 0).length
  const last = values.length - 1
  const lineOf = (i: number) =>
    values.map((v, x) => `${(100 * x) / last},${100 - (100 * Number(v[i])) / top}`).join(' ')
  const rest = Array.from({ length: tokens - 1 }, (_, i) => i + 1).filter(i => i !== token)
  const mean = (v: Float32Array) => v.subarray(1).reduce((a, b) => a + b, 0) / (tokens - 1)
  const places = values.map((_, i) => (i ? `block ${i}` : 'in'))
  return (
    <Step
      title="Length of the tokens"
      caption="The Euclidean norm of each token’s vector, before the first block and after each: each block adds to the vectors and makes them longer. The layer norms before attention, MLP and head remove the length again, so that only the direction counts."
      class="see-rule"
    >
      <div
        class="see-chart"
        role="img"
        aria-label={`Norm of the CLS token: ${values.map((v, i) => `${places[i]} ${decimal(Number(v[0]), 1)}`).join(', ')}`}
      >
        <span class="see-top">{decimal(top, 1)}</span>
        <span class="see-bottom">0</span>
        <svg class="see-plane" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
          {rest.map(i => (
            <polyline key={i} points={lineOf(i)} class="see-line" />
          ))}
          {token > 0 && <polyline points={lineOf(token)} class="see-line see-line-picked" />}
          <polyline points={lineOf(0)} class="see-line see-line-cls" />
        </svg>
        <span class="see-axis">block</span>
        <div class="see-places">
          {places.map((place, i) => (
            <span key={place}>{i || 'in'}</span>
          ))}
        </div>
      </div>
      <ul class="see-key">
        <li>
          <span class="see-dash see-dash-cls" /> CLS token
        </li>
        {token > 0 && (
          <li>
            <span class="see-dash see-dash-picked" /> patch {token}
          </li>
        )}
        <li>
          <span class="see-dash" /> patches
        </li>
      </ul>
      <Numbers
        columns={['norm', ...places]}
        rows={[
          ['CLS token', ...values.map(v => Number(v[0]))],
          ...(token ? [[`patch ${token}`, ...values.map(v => Number(v[token]))] as const] : []),
          ['mean of the patches', ...values.map(mean)],
        ]}
      />
    </Step>
  )
}
