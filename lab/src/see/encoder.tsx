import './encoder.css'
import { useSignal } from '@preact/signals'
import { percent } from '../ui/text.ts'
import { norms, spread } from './maths.ts'
import { Norms } from './norms.tsx'
import { Part, Scroll, Step } from './parts.tsx'
import { PatchPicker, placeOf } from './patch-picker.tsx'
import { Picture } from './pixels.tsx'
import { type Inside, largest, rowOf, type Sight } from './sight.ts'

/** The lecture's second part: tokens attend to each other, block by block. */
export function Encoder({ sight, inside }: { readonly sight: Sight; readonly inside: Inside }) {
  const { about } = sight
  const { tokens, dim, depth, heads, side, attention, reaching, places, stage } = inside
  const picked = useSignal(0)
  const token = Math.min(picked.value, tokens - 1)
  const name = token ? `patch ${token}` : 'the CLS token'
  const Name = token ? `Patch ${token}` : 'CLS'
  const size = tokens * tokens
  const rowFrom = (map: Float32Array) => rowOf(map, tokens, token)
  const total = reaching(token, depth)
  return (
    <Part
      id="encoder"
      title="2 · The encoder"
      intro={
        <>
          {depth} blocks, each <code>{`[${tokens}, ${dim}] → [${tokens}, ${dim}]`}</code>. In a block every
          token attends to all tokens with {heads} heads and adds the result to itself; then a small MLP is
          applied to each token separately, and its result is added too.
        </>
      }
    >
      <div class="see-attention">
        <div class="see-query">
          <Step
            title="Attending token"
            caption={`Choose the token whose attention is shown; now ${placeOf(token, side)}.`}
          >
            <PatchPicker
              label="Token whose attention is shown"
              pixels={sight.pixels}
              shape={about.input}
              side={side}
              value={token}
              onPick={to => {
                picked.value = to
              }}
              cls
            />
          </Step>
          <Step
            title="Rollout"
            caption={
              <>
                What reaches {name} through all {depth} blocks, with their attention matrices multiplied:{' '}
                {namesOf(total, 3)}.
              </>
            }
          >
            <Picture
              pixels={sight.pixels}
              shape={about.input}
              light={spread(total.slice(1))}
              label={`Attention rollout of ${name}: ${namesOf(total, 3)}`}
              class="see-rolled"
            />
          </Step>
        </div>
        <Step
          title="Attention"
          shape={`${depth} × [${heads}, ${tokens}, ${tokens}]`}
          caption={`Each picture is one head of one block: the brighter a patch, the more ${name} attends to it; each picture has its own scale. The number below is the share of the CLS token. The last column is the rollout up to that block, scaled from the lowest patch (dark) to the highest (bright).`}
        >
          <Scroll label="Attention maps">
            <table class="see-maps" style={{ '--columns': heads + 1 }}>
              <thead>
                <tr>
                  <th scope="col">
                    <span class="see-word">block</span>
                  </th>
                  {Array.from({ length: heads }, (_, head) => (
                    <th scope="col" key={head}>
                      head {head + 1}
                    </th>
                  ))}
                  <th scope="col">rollout</th>
                </tr>
              </thead>
              <tbody>
                {attention.map((maps, block) => (
                  <tr key={block}>
                    <th scope="row">{block + 1}</th>
                    {Array.from({ length: heads }, (_, head) => {
                      const row = rowFrom(maps.subarray(head * size, (head + 1) * size))
                      return (
                        <Cell
                          key={head}
                          row={row}
                          sight={sight}
                          label={`${Name} in block ${block + 1}, head ${head + 1}`}
                        />
                      )
                    })}
                    <Cell
                      row={reaching(token, block + 1)}
                      light={spread(reaching(token, block + 1).slice(1))}
                      sight={sight}
                      label={`Rollout of ${name} up to block ${block + 1}`}
                    />
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </Step>
      </div>
      <Norms values={places.map(place => norms(stage(place), tokens))} token={token} />
    </Part>
  )
}

/** One row of an attention map over the picture. */
function Cell({
  row,
  light = row.slice(1),
  sight,
  label,
}: {
  readonly row: Float32Array
  readonly light?: Float32Array
  readonly sight: Sight
  readonly label: string
}) {
  return (
    <td class="see-cell-map">
      <Picture
        pixels={sight.pixels}
        shape={sight.about.input}
        light={light}
        label={`${label}: ${namesOf(row, 3)}`}
        class="see-look"
      />
      <small class="see-share" aria-hidden="true">
        CLS {percent(Number(row[0]), 0)}
      </small>
    </td>
  )
}

const namesOf = (row: Float32Array, count: number): string =>
  largest(row, count)
    .map(i => `${i ? `patch ${i}` : 'CLS'} ${percent(Number(row[i]))}`)
    .join(', ')
