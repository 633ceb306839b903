import type { Stage } from '../protocol.ts'
import { type Colour, signed } from './colour.ts'
import { Step } from './parts.tsx'
import { placeOf } from './patch-picker.tsx'
import { Pixels } from './pixels.tsx'
import { decimal, largest, rowOf } from './sight.ts'

const CLEAR: Colour = [0, 0, 0, 0]

export interface PositionsProps {
  /** `[T, T]`. */
  readonly positions: Stage
  readonly side: number
  readonly token: number
  readonly onPick: (token: number) => void
}

/** For each patch, the similarity of its position embedding to all others: as Dosovitskiy et al. 2021, figure 7. */
export function Positions({ positions, side, token, onPick }: PositionsProps) {
  const tokens = side * side + 1
  const row = rowOf(positions.data, tokens, token)
  const others = positions.data.filter((_, i) => i % (tokens + 1) !== 0)
  const limit = Math.max(...others.map(Math.abs))
  const colour = signed(limit)
  // Maps lie side by side with one clear cell between them.
  const pitch = side + 1
  const cells = side * pitch - 1
  const [, ...alike] = largest(row.slice(1), 4).map(i => i + 1)
  const pick = (event: PointerEvent) => {
    const { left, top, width, height } = (event.currentTarget as HTMLElement).getBoundingClientRect()
    const at = (share: number) => Math.min(side - 1, Math.max(0, Math.floor(share * side)))
    onPick(at((event.clientY - top) / height) * side + at((event.clientX - left) / width) + 1)
  }
  return (
    <div class="see-positions see-rule">
      <Step
        title="Learned positions"
        shape={`[${tokens}, ${tokens}]`}
        caption="One small map for each patch, laid out as the image: the cosine similarity of its position vector to that of every patch. The model was never told which patches are neighbors; any pattern here is learned."
      >
        <div
          class="see-atlas"
          style={{ '--side': side, '--column': (token - 1) % side, '--line': Math.floor((token - 1) / side) }}
          onPointerMove={event => event.pointerType === 'mouse' && pick(event)}
          onPointerDown={pick}
        >
          <Pixels
            rows={cells}
            columns={cells}
            colour={(y, x) => {
              const [mapY, mapX] = [Math.floor(y / pitch), Math.floor(x / pitch)]
              const [inY, inX] = [y % pitch, x % pitch]
              if (inY === side || inX === side) return CLEAR
              const [of, to] = [mapY * side + mapX + 1, inY * side + inX + 1]
              return colour(Number(positions.data[of * tokens + to]))
            }}
            of={[positions]}
            label={`Similarity of the position embeddings of ${side * side} patches`}
            class="see-square"
          />
          <span class="see-atlas-mark" />
        </div>
      </Step>
      <Step
        title={`Seen from patch ${token}`}
        caption={
          <>
            Most similar: {alike.map(i => `patch ${i} (${decimal(Number(row[i]))})`).join(', ')}. To the CLS
            token’s position: {decimal(Number(row[0]))}. Full color at ±{decimal(limit)}.
          </>
        }
      >
        <Pixels
          rows={side}
          columns={side}
          colour={(y, x) => colour(Number(row[y * side + x + 1]))}
          of={[positions, token]}
          label={`Similarity to the position of ${placeOf(token, side)}`}
          class="see-map"
        />
      </Step>
    </div>
  )
}
