import type { LabClient } from '../client.ts'
import type { ModelAbout } from '../protocol.ts'
import { argmax, spread } from '../see/maths.ts'
import { Picture } from '../see/pixels.tsx'
import { insideOf, largest, type Sight } from '../see/sight.ts'
import { percent } from '../ui/text.ts'
import { drawn } from './drawing.ts'

/** Drawings are gray. */
const whatToDo = ({ input: [channels] }: ModelAbout): string =>
  channels === 1 ? 'draw a digit' : 'choose a picture'

/** With more classes, only the most likely are listed. */
const MOST_CLASSES = 20

const BLANK = new Float32Array(28 * 28)

/** What the model reads: its answer, what it sees, where it looks, and how long that takes. */
export function Reading({ lab, sight }: { readonly lab: LabClient; readonly sight: Sight | undefined }) {
  const about = lab.about.value
  const probabilities = sight?.look.probabilities
  const best = probabilities ? argmax(probabilities) : -1
  const names = sight?.about.classes ?? about?.classes ?? []
  const shown =
    names.length <= MOST_CLASSES
      ? [...names.keys()]
      : largest(probabilities ?? new Float32Array(names.length), 10)
  return (
    <section class="card" aria-labelledby="result-title">
      <h2 id="result-title">Reading</h2>
      <div class="try-answer">
        <output id="answer" for="board">
          <b id="predicted" class={(names[best]?.length ?? 0) > 3 ? 'try-word' : ''}>
            <bdi>{names[best] ?? '–'}</bdi>
          </b>{' '}
          <span id="certainty">
            {probabilities ? percent(Number(probabilities[best])) : about ? whatToDo(about) : 'needs a model'}
          </span>
        </output>
        <Eyes sight={sight} shape={about?.input ?? [1, 28, 28]} />
      </div>
      <ol id="bars">
        {shown.map(i => (
          <li key={i} class={i === best ? 'try-class best' : 'try-class'}>
            <bdi class="name">{names[i]}</bdi>
            <span class="try-bar" style={{ '--share': probabilities?.[i] ?? 0 }} />
            <span class="share">{percent(probabilities?.[i] ?? 0)}</span>
          </li>
        ))}
      </ol>
      <div class="try-below">
        <p id="latency" class="quiet">
          {sight &&
            `${sight.look.milliseconds.toFixed(sight.look.milliseconds < 10 ? 2 : 0)} ms for this reading`}
        </p>
        <button
          type="button"
          id="inside"
          disabled={!sight}
          onClick={() => {
            if (!sight) return
            lab.subject.value = { pixels: sight.pixels }
            lab.tab.value = 'see'
          }}
        >
          See inside
        </button>
      </div>
    </section>
  )
}

/** What the model gets of the drawing, and where in it it looks. */
function Eyes({
  sight,
  shape,
}: {
  readonly sight: Sight | undefined
  readonly shape: Sight['about']['input']
}) {
  const size = shape[0] * shape[1] * shape[2]
  const fits = drawn.value?.length === size ? drawn.value : undefined
  const inside = sight && insideOf(sight)
  return (
    <div class="try-eyes">
      <figure class="try-figure">
        <Picture
          id="seen"
          class="try-eye"
          pixels={fits ?? (size === BLANK.length ? BLANK : new Float32Array(size))}
          shape={shape}
          label="What the model sees: the drawing, scaled and centred"
        />
        <figcaption class="quiet">what it sees</figcaption>
      </figure>
      {inside && (
        <figure class="try-figure">
          <Picture
            id="looks"
            class="try-eye"
            pixels={sight.pixels}
            shape={sight.about.input}
            light={spread(inside.reachingHead().slice(1))}
            label="Where it looks: attention rollout over the drawing"
          />
          <figcaption class="quiet">where it looks</figcaption>
        </figure>
      )}
    </div>
  )
}
