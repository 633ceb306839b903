import { useSignal } from '@preact/signals'
import type { LabClient } from '../client.ts'
import type { EpochReport, Mistake } from '../protocol.ts'
import { Picture } from '../see/pixels.tsx'
import { count, duration, percent } from '../ui/text.ts'

/** Results of the last epoch on the held-out examples. */
export function Outcome({ lab }: { readonly lab: LabClient }) {
  const reports = lab.reports.value
  const last = reports.at(-1)
  if (!last) return null
  const nameOf = (i: number): string => last.classes[i] ?? String(i)
  const total = last.confusion.flat().reduce((a, b) => a + b, 0)
  return (
    <section class="card outcome" aria-labelledby="outcome-title">
      <div class="title">
        <h2 id="outcome-title">After epoch {last.epoch}</h2>
        <p class="figure">
          {percent(last.testAccuracy, 2)} <span class="quiet">of {count(total)} held-out examples</span>
        </p>
      </div>
      <div class="columns">
        <Confusion report={last} nameOf={nameOf} />
        <Mistakes lab={lab} report={last} nameOf={nameOf} />
      </div>
      <Epochs reports={reports} />
    </section>
  )
}

type NameOf = (label: number) => string

function Confusion({ report, nameOf }: { readonly report: EpochReport; readonly nameOf: NameOf }) {
  const { confusion } = report
  const wrong = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)))
  return (
    <figure class="confusion">
      <figcaption>
        Confusion matrix
        <span class="quiet"> rows: true class; columns: predicted class</span>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard */}
      <section class="scroll" tabIndex={0} aria-label="Confusion matrix">
        <table>
          <thead>
            <tr>
              <td />
              {confusion.map((_, j) => (
                <th key={j} scope="col">
                  {nameOf(j)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {confusion.map((row, i) => {
              const most = Math.max(1, ...row)
              return (
                <tr key={i}>
                  <th scope="row">{nameOf(i)}</th>
                  {row.map((n, j) => (
                    <td
                      key={j}
                      class={i === j ? 'right' : n ? 'wrong' : 'none'}
                      style={{ '--share': String(i === j ? n / most : n / wrong) }}
                      title={`${nameOf(i)} taken for ${nameOf(j)}: ${n}`}
                    >
                      {n || '·'}
                    </td>
                  ))}
                </tr>
              )
            })}
          </tbody>
        </table>
      </section>
    </figure>
  )
}

interface MistakesProps {
  readonly lab: LabClient
  readonly report: EpochReport
  readonly nameOf: NameOf
}

function Mistakes({ lab, report, nameOf }: MistakesProps) {
  const { mistakes, input } = report
  const see = async ({ pixels, truth }: Mistake) => {
    // They are mistakes of the model that is trained here, whatever file is open.
    await lab.attempt(lab.ask('use', 'run'))
    lab.subject.value = { pixels, label: truth }
    lab.tab.value = 'see'
  }
  return (
    <figure class="mistakes">
      <figcaption>
        Worst mistakes{' '}
        <span class="quiet">the most confident wrong predictions; choose one to look inside</span>
      </figcaption>
      {mistakes.length === 0 && <p class="quiet">None: every held-out example is classified correctly.</p>}
      <ol>
        {mistakes.map((mistake, i) => {
          const { pixels, truth, guess, certainty } = mistake
          const text = `${nameOf(truth)} read as ${nameOf(guess)}, ${percent(certainty, 0)} sure`
          return (
            <li key={i}>
              <button
                type="button"
                onClick={() => void see(mistake)}
                aria-label={`${text}: look inside`}
                title={text}
              >
                <Picture pixels={pixels} shape={input} />
                <span>
                  <bdi>{nameOf(truth)}</bdi> →{' '}
                  <b>
                    <bdi>{nameOf(guess)}</bdi>
                  </b>
                </span>
              </button>
            </li>
          )
        })}
      </ol>
    </figure>
  )
}

/** More are not shown. */
const MOST_ROWS = 200

/** The curves as numbers. */
function Epochs({ reports }: { readonly reports: readonly EpochReport[] }) {
  const open = useSignal(false)
  return (
    <details
      class="epochs"
      onToggle={event => {
        open.value = event.currentTarget.open
      }}
    >
      <summary>Epoch table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard */}
      <section class="scroll" tabIndex={0} aria-label="Epoch table">
        <table>
          <thead>
            <tr>
              {['Epoch', 'Loss', 'Accuracy', 'Held-out loss', 'Held-out accuracy', 'Time'].map(name => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {(open.value ? reports.slice(-MOST_ROWS) : []).map(r => (
              <tr key={r.epoch}>
                <th scope="row">{r.epoch}</th>
                <td>{r.trainLoss.toFixed(4)}</td>
                <td>{percent(r.trainAccuracy, 2)}</td>
                <td>{r.testLoss.toFixed(4)}</td>
                <td>{percent(r.testAccuracy, 2)}</td>
                <td>{duration(r.seconds)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  )
}
