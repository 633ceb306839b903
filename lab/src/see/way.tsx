import type { Inside, Sight } from './sight.ts'

/** The whole way in one line: the shape at each step, each a link to where it is shown. */
export function Way({ sight, inside }: { readonly sight: Sight; readonly inside: Inside }) {
  const [channels, height, width] = sight.about.input
  const { patches, patch, dim, tokens, depth, classes, pool } = inside
  const steps: readonly (readonly [shape: string, what: string, part: string])[] = [
    [`[${channels}, ${height}, ${width}]`, 'image', 'tokens'],
    [`[${patches}, ${channels * patch * patch}]`, 'patches, flattened', 'tokens'],
    [`[${patches}, ${dim}]`, 'embedded', 'tokens'],
    [`[${tokens}, ${dim}]`, 'CLS in front, positions added', 'tokens'],
    [`[${tokens}, ${dim}]`, `after ${depth} encoder blocks`, 'encoder'],
    [`[${dim}]`, pool === 'cls' ? 'CLS token, normalized' : 'mean, normalized', 'head'],
    [`[${classes}]`, 'logits', 'head'],
  ]
  return (
    <nav class="card see-shapes" aria-label="Shapes, step by step">
      <ol class="see-steps">
        {steps.map(([shape, what, part]) => (
          <li key={what} class="see-step-on">
            <a
              class="see-to"
              href={`#${part}`}
              onClick={event => {
                // The address belongs to the page's views.
                event.preventDefault()
                const target = document.getElementById(part)
                target?.scrollIntoView()
                target?.querySelector<HTMLElement>('button, summary')?.focus({ preventScroll: true })
              }}
            >
              <code class="see-shape">{shape}</code> <span class="see-what">{what}</span>
            </a>
          </li>
        ))}
      </ol>
    </nav>
  )
}
