import './head.css'
import type { ComponentChildren } from 'preact'
import { percent } from '../ui/text.ts'
import { glow, reach } from './colour.ts'
import { argmax, softmax } from './maths.ts'
import { Part, Step } from './parts.tsx'
import { Matrix } from './pixels.tsx'
import { decimal, type Inside, largest, rowOf, type Sight } from './sight.ts'

/** With more classes, only the most likely are listed. */
const MOST_CLASSES = 20

/** The lecture's third part: the answer is read from one vector. */
export function Head({ sight, inside }: { readonly sight: Sight; readonly inside: Inside }) {
  const { about } = sight
  const { dim, hidden, classes, places, stage, read, pool, tokens } = inside
  const mapping = hidden.length ? 'an MLP' : 'a linear map'
  const reader = pool === 'cls' ? 'The CLS token' : 'The mean of the patches'
  return (
    <Part
      id="head"
      title={`3 · The head reads ${pool === 'cls' ? 'the CLS token' : 'the mean'}`}
      intro={
        <>
          Of the {tokens} tokens the head reads{' '}
          {pool === 'cls' ? 'only the first' : 'the mean of the patches'}:{' '}
          <code>{`[${tokens}, ${dim}] → [${dim}]`}</code>. A layer norm normalizes it, {mapping} computes{' '}
          {classes} scores <code>{`[${[dim, ...hidden, classes].join('] → [')}]`}</code>, and softmax turns
          them into probabilities.
        </>
      }
    >
      <Step
        title={`${reader} on its way`}
        shape={`[${dim}]`}
        caption="Each bar is the vector after one more block, with its own color scale. Beside it is the answer the head would give at that point, which shows how the decision forms."
      >
        <ol class="see-way">
          {places.map((place, i) => {
            const answer = softmax(rowOf(stage('answers'), classes, i))
            return (
              <Vector
                key={place}
                name={i ? `after block ${i}` : 'before the blocks'}
                values={read(stage(place))}
              >
                <Answer probabilities={answer} names={about.classes} />
              </Vector>
            )
          })}
          <Vector name="normalized, as the head reads it" values={stage('norm')}>
            <Answer probabilities={sight.look.probabilities} names={about.classes} />
          </Vector>
        </ol>
      </Step>
      <Scores sight={sight} />
    </Part>
  )
}

function Vector({
  name,
  values,
  children,
}: {
  readonly name: string
  readonly values: Float32Array
  readonly children: ComponentChildren
}) {
  const limit = reach(values)
  return (
    <li class="see-vector">
      <span class="see-name">{name}</span>
      <Matrix data={values} rows={1} class="see-strip" label={`Vector ${name}, up to ±${decimal(limit)}`} />
      {children}
    </li>
  )
}

function Answer({
  probabilities,
  names,
}: {
  readonly probabilities: Float32Array
  readonly names: readonly string[]
}) {
  const best = argmax(probabilities)
  return (
    <span class="see-answer">
      <Matrix data={probabilities} rows={1} colour={glow} class="see-chances" />
      <b>
        <bdi>{names[best]}</bdi>
      </b>{' '}
      <span>{percent(Number(probabilities[best]))}</span>
    </span>
  )
}

/** Logits and probabilities of each class. */
export function Scores({ sight }: { readonly sight: Sight }) {
  const { about, look } = sight
  const { logits, probabilities } = look
  const few = logits.length <= MOST_CLASSES
  const shown = few ? [...logits.keys()] : largest(logits, 10)
  const limit = reach(logits)
  const best = argmax(logits)
  return (
    <Step
      title="Logits → probabilities"
      shape={`[${logits.length}]`}
      caption={`Softmax raises e to each logit and divides by the sum, so only the differences between logits count.${few ? '' : ' The ten largest are shown.'}`}
    >
      <table class="see-scores">
        <thead>
          <tr>
            <th scope="col">class</th>
            <th scope="col" colSpan={2}>
              logit
            </th>
            <th scope="col" colSpan={2}>
              probability
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map(i => (
            <tr key={i} class={i === best ? 'see-best' : ''}>
              <th scope="row">{about.classes[i]}</th>
              <td class="see-wide">
                <span
                  class={`see-bar ${Number(logits[i]) < 0 ? 'see-below' : 'see-above'}`}
                  style={{ '--share': Math.abs(Number(logits[i])) / (limit || 1) }}
                />
              </td>
              <td class="see-figure">{decimal(Number(logits[i]))}</td>
              <td class="see-wide">
                <span class="see-bar" style={{ '--share': Number(probabilities[i]) }} />
              </td>
              <td class="see-figure">{percent(Number(probabilities[i]))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Step>
  )
}
