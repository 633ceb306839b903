import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

export interface PartProps {
  readonly id: string
  readonly title: string
  readonly intro: ComponentChildren
  readonly children: ComponentChildren
}

/** One of the parts of the way from the image to the answer. */
export function Part({ id, title, intro, children }: PartProps) {
  return (
    <section class="card see-part" id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      <p class="see-intro">{intro}</p>
      {children}
    </section>
  )
}

export interface StepProps {
  readonly title: string
  /** Such as `[16, 49]`. */
  readonly shape?: ComponentChildren
  readonly caption: ComponentChildren
  readonly class?: string
  readonly children: ComponentChildren
}

/** Something to see, with what it is and what it tells. */
export function Step({ title, shape, caption, class: name = '', children }: StepProps) {
  return (
    <figure class={`see-step ${name}`}>
      <h3>
        {title} {shape && <code class="see-shape">{shape}</code>}
      </h3>
      {children}
      <figcaption class="see-caption">{caption}</figcaption>
    </figure>
  )
}

/** What is wider than a phone, and can be moved there. */
export function Scroll({
  label,
  children,
}: {
  readonly label: string
  readonly children: ComponentChildren
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard
    <section class="scroll see-scroll" tabIndex={0} aria-label={label}>
      {children}
    </section>
  )
}

/** Numbers behind a picture, for those who want them or do not see it. */
export function Numbers({
  columns,
  rows,
}: {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly [name: string, ...values: (number | string)[]])[]
}) {
  // Built only on demand: the selection changes often.
  const [open, setOpen] = useState(false)
  return (
    <details class="see-numbers" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary class="see-more">Numbers</summary>
      {open && (
        <Scroll label="Numbers">
          <table class="see-table">
            <thead>
              <tr>
                {columns.map(name => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(([name, ...values]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {values.map((v, i) => (
                    <td key={i}>{typeof v === 'number' ? v.toFixed(3).replace('-', '−') : v}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </details>
  )
}
