import { useSignal, useSignalEffect } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { MODELS } from '../../../models/index.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { isKey } from '../../../src/graph/keys.ts'
import { present } from '../../../src/graph/present.ts'
import type { LabClient } from '../client.ts'
import type { ModelAbout, Stage } from '../protocol.ts'
import { Encoder } from './encoder.tsx'
import { Head, Scores } from './head.tsx'
import { newest } from './newest.ts'
import './see.css'
import { insideOf, type Sight } from './sight.ts'
import { fits, index, Subject } from './subject.tsx'
import { Tokens } from './tokens.tsx'
import { Way } from './way.tsx'

interface Shown {
  readonly sight: Sight
  readonly positions: Stage | undefined
}

/** What a model does with one image, in the lecture's three parts. */
export function SeeView({ lab }: { readonly lab: LabClient }) {
  const shown = useSignal<Shown | undefined>(undefined)
  const count = useSignal(0)
  const show = useMemo(
    () =>
      newest(async (at: number) => {
        shown.value = await lab.attempt(see(lab, at, count))
      }),
    [lab, shown, count],
  )
  useSignalEffect(() => {
    // Read, so that the view follows them.
    void lab.changes.value
    void lab.subject.value
    if (lab.about.value) show(index.value)
    else shown.value = undefined
  })
  const about = lab.about.value
  if (!about)
    return (
      <section class="card">
        <h2>Nothing to see yet</h2>
        <p>
          This view opens a model and shows what happens inside while it reads a digit. Train one, or drop an{' '}
          <code>.onnx</code> file on the page.
        </p>
      </section>
    )
  const now = shown.value
  const inside = now && insideOf(now.sight)
  return (
    <div class="see">
      <Subject lab={lab} about={about} sight={now?.sight} count={count.value} />
      {now && inside && (
        <>
          <Way sight={now.sight} inside={inside} />
          <Tokens sight={now.sight} inside={inside} positions={now.positions} />
          <Encoder sight={now.sight} inside={inside} />
          <Head sight={now.sight} inside={inside} />
        </>
      )}
      {now && !inside && <Outside sight={now.sight} />}
    </div>
  )
}

/** The requested image, and the current model's results for it. */
async function see(lab: LabClient, at: number, count: { value: number }): Promise<Shown | undefined> {
  const about = lab.about.value
  if (!about) return undefined
  let subject = lab.subject.value
  // One that was chosen for another model may be of another size.
  if (!fits(subject?.pixels, about)) {
    const example = await lab.ask('example', at)
    count.value = example.count
    if (!fits(example.pixels, about))
      throw new UserError(
        `${about.name} takes images of ${about.input.join(' × ')} (channels × height × width), and the examples here have ${example.pixels.length} pixels: choose data of that size in Train, or a picture in Try`,
      )
    subject = example
  }
  const { pixels, label } = present(subject, 'example')
  const look = await lab.ask('look', pixels, true)
  const positions = look.stages ? await lab.ask('positions') : undefined
  return { sight: { pixels, about, look, ...(label === undefined ? {} : { label }) }, positions }
}

function whyOutside({ name, model }: ModelAbout): string {
  if (!model) return `${name} does not name its architecture, so the page cannot show its parts.`
  if (model.name !== 'vit' && isKey(MODELS, model.name))
    return `The architecture of ${name} is ${model.name}: it has no patches, CLS token or attention maps to show.`
  return `The graph of ${name} comes from a file (${model.name}), and the page does not know its parts.`
}

/** The view of a model that is not a ViT. */
function Outside({ sight }: { readonly sight: Sight }) {
  const { about } = sight
  return (
    <section class="card see-part" aria-labelledby="outside-title">
      <h2 id="outside-title">Only its answer can be shown</h2>
      <p class="see-intro">
        {whyOutside(about)} Train a ViT here, or open one that onnxgrad exported, to see all three parts.
      </p>
      <Scores sight={sight} />
    </section>
  )
}
