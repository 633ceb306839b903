import { signal } from '@preact/signals'
import type { LabClient } from '../client.ts'
import type { ModelAbout } from '../protocol.ts'
import { drawn } from '../try/drawing.ts'
import { count as grouped, percent } from '../ui/text.ts'
import { argmax } from './maths.ts'
import { Picture } from './pixels.tsx'
import type { Sight } from './sight.ts'

/** Which held-out example is shown, from 0; kept while other views are open. */
export const index = signal(0)

/** Whether an image is of the size that a model takes. */
export const fits = (pixels: Float32Array | undefined, { input }: ModelAbout): boolean =>
  pixels?.length === input.reduce((a, b) => a * b, 1)

export interface SubjectProps {
  readonly lab: LabClient
  readonly about: ModelAbout
  readonly sight: Sight | undefined
  /** How many examples there are; 0 while that is not known. */
  readonly count: number
}

/** The image that is looked at, and how to choose another. */
export function Subject({ lab, about, sight, count }: SubjectProps) {
  const given = lab.subject.value
  const drawing = fits(drawn.value, about) ? drawn.value : undefined
  const drawingShown = drawing !== undefined && given?.pixels === drawing
  const go = (to: number) => {
    lab.subject.value = undefined
    index.value = count ? (to + count) % count : to
  }
  return (
    <section class="card see-subject" aria-labelledby="subject-title">
      {sight && (
        <Picture
          pixels={sight.pixels}
          shape={sight.about.input}
          label={sight.label === undefined ? 'The image' : `The image, labeled ${nameOf(sight, sight.label)}`}
          class="see-large"
        />
      )}
      <div class="see-verdict">
        <h2 id="subject-title">One image through {about.name}</h2>
        <p aria-live="polite">{sight ? <Verdict sight={sight} /> : '…'}</p>
      </div>
      <div class="see-choose">
        <label>
          Held-out example{' '}
          <input
            id="example"
            type="number"
            class="see-number"
            min={1}
            max={count || undefined}
            value={index.value + 1}
            onChange={event => {
              const to = Math.round(event.currentTarget.valueAsNumber) || 1
              go(Math.min(Math.max(to, 1), count || to) - 1)
              event.currentTarget.value = String(index.value + 1)
            }}
          />
          {count > 0 && <span class="quiet"> of {grouped(count)}</span>}
        </label>
        <span class="row">
          <button type="button" aria-label="Previous example" onClick={() => go(index.value - 1)}>
            ←
          </button>
          <button type="button" aria-label="Next example" onClick={() => go(index.value + 1)}>
            →
          </button>
          <button type="button" onClick={() => go(Math.floor(Math.random() * (count || 1)))}>
            Any
          </button>
          <button
            type="button"
            disabled={!drawing}
            aria-pressed={drawingShown}
            onClick={() => {
              if (drawing) lab.subject.value = { pixels: drawing }
            }}
          >
            My drawing
          </button>
        </span>
        {given && (
          <p class="quiet">
            {drawingShown ? 'What you drew or chose in Try.' : 'Chosen in another view.'} The buttons lead
            back to the examples.
          </p>
        )}
      </div>
    </section>
  )
}

const nameOf = ({ about }: Sight, label: number): string => about.classes[label] ?? String(label)

/** A name in a sentence, whichever way its script is written. */
const Named = ({ name }: { readonly name: string }) => (
  <b>
    <bdi>{name}</bdi>
  </b>
)

function Verdict({ sight }: { readonly sight: Sight }) {
  const { look, label } = sight
  const guess = argmax(look.probabilities)
  const read = (
    <>
      read as <Named name={nameOf(sight, guess)} /> with {percent(Number(look.probabilities[guess]))}
    </>
  )
  if (label === undefined) return <>It is {read}.</>
  const right = guess === label
  return (
    <>
      Labeled <Named name={nameOf(sight, label)} />, {read}{' '}
      <span class={right ? 'see-right' : 'see-wrong'}>{right ? '— right' : '— wrong'}</span>
    </>
  )
}
