import './tokens.css'
import { useSignal } from '@preact/signals'
import type { Stage } from '../protocol.ts'
import { ink, reach } from './colour.ts'
import { Numbers, Part, Step } from './parts.tsx'
import { PatchPicker, placeOf } from './patch-picker.tsx'
import { Matrix, type MatrixProps, Pixels } from './pixels.tsx'
import { Positions } from './positions.tsx'
import { decimal, type Inside, rowOf, type Sight } from './sight.ts'

export interface TokensProps {
  readonly sight: Sight
  readonly inside: Inside
  readonly positions: Stage | undefined
}

/** The lecture's first part: an image becomes a row of tokens. */
export function Tokens({ sight, inside, positions }: TokensProps) {
  const { pixels, about } = sight
  const { patches, patch, side, dim, tokens, stage } = inside
  const [channels, height, width] = about.input
  const size = channels * patch * patch
  const picked = useSignal<number | undefined>(undefined)
  const token = Math.min(picked.value ?? fullest(stage('patches'), size), patches)
  const onPick = (to: number) => {
    picked.value = to
  }
  const squares = channels === 1 ? `${patch}·${patch}` : `${channels}·${patch}·${patch}`
  return (
    <Part
      id="tokens"
      title="1 · From image to tokens"
      intro="A transformer reads a sequence of vectors. So the image is cut into patches, each patch becomes a vector, a CLS token is prepended to collect the answer, and every token gets its position."
    >
      <div class="see-flow" style={{ '--row': `${Math.min(14, 238 / tokens)}px` }}>
        <Step
          title="Cut"
          shape={`[${channels}, ${height}, ${width}]`}
          caption={`${side} × ${side} patches of ${patch} × ${patch} pixels. Point at one, or pick it with the arrow keys.`}
        >
          <PatchPicker
            label="Patch to follow"
            pixels={pixels}
            shape={about.input}
            side={side}
            value={token}
            onPick={onPick}
            hover
          />
        </Step>
        <Step
          title="Flatten"
          shape={`[${patches}, ${squares}]`}
          caption={`Each row is one patch: its ${size} pixels in order.`}
          class="see-lower"
        >
          <Rows
            data={stage('patches')}
            rows={patches}
            mark={token - 1}
            onRow={i => onPick(i + 1)}
            colour={ink}
          />
        </Step>
        <Step
          title="Embed"
          shape={`[${patches}, ${dim}]`}
          caption={`One learned linear map turns each row into ${dim} numbers.`}
          class="see-lower"
        >
          <Rows data={stage('embedding')} rows={patches} mark={token - 1} onRow={i => onPick(i + 1)} />
        </Step>
        <Step
          title="CLS + positions"
          shape={`[${tokens}, ${dim}]`}
          caption="The CLS token is prepended as the first row, and a learned position vector is added to each row."
        >
          <Rows data={stage('tokens')} rows={tokens} mark={token} onRow={i => onPick(Math.max(i, 1))} />
        </Step>
      </div>
      <OnePatch inside={inside} token={token} channels={channels} />
      {positions && <Positions positions={positions} side={side} token={token} onPick={onPick} />}
    </Part>
  )
}

/** The patch with the most ink, as a token. */
function fullest(patches: Float32Array, size: number): number {
  const sums = Array.from({ length: patches.length / size }, (_, i) =>
    rowOf(patches, size, i).reduce((a, b) => a + b, 0),
  )
  return 1 + sums.indexOf(Math.max(...sums))
}

interface RowsProps {
  readonly data: Float32Array
  readonly rows: number
  readonly mark: number
  readonly onRow: (row: number) => void
  readonly colour?: MatrixProps['colour']
}

/** A matrix of tokens with the row of one of them marked. */
function Rows({ data, rows, mark, onRow, ...rest }: RowsProps) {
  const point = (event: PointerEvent) => {
    const { top, height } = (event.currentTarget as HTMLElement).getBoundingClientRect()
    onRow(Math.min(rows - 1, Math.max(0, Math.floor(((event.clientY - top) / height) * rows))))
  }
  return (
    <div
      class="see-rows"
      style={{ '--rows': rows, '--mark': mark }}
      onPointerMove={event => event.pointerType === 'mouse' && point(event)}
      onPointerDown={point}
    >
      <Matrix data={data} rows={rows} class="see-matrix" {...rest} />
      <span class="see-mark" />
    </div>
  )
}

/** A single patch on its way to a token. */
function OnePatch({
  inside,
  token,
  channels,
}: {
  readonly inside: Inside
  readonly token: number
  readonly channels: number
}) {
  const { stage, patch, dim, side } = inside
  const size = channels * patch * patch
  const raw = rowOf(stage('patches'), size, token - 1)
  const vectors = [
    ['embedding', rowOf(stage('embedding'), dim, token - 1)],
    ['+ position', rowOf(stage('positions'), dim, token)],
    ['= token', rowOf(stage('tokens'), dim, token)],
  ] as const
  const limit = Math.max(...vectors.map(([, v]) => reach(v)))
  const plane = patch * patch
  return (
    <div class="see-one see-rule">
      <h3>
        One of them: <span class="see-light">{placeOf(token, side)}</span>
      </h3>
      <div class="see-one-body">
        <Pixels
          rows={patch}
          columns={patch}
          colour={(row, column) => {
            const at = (c: number) => Number(raw[Math.min(c, channels - 1) * plane + row * patch + column])
            return ink(at(0), at(1), at(2))
          }}
          of={[raw]}
          label={`The ${patch} × ${patch} pixels of ${placeOf(token, side)}`}
          class="see-tile"
        />
        <dl class="see-strips">
          <Strip name={`${size} pixels`} values={raw} colour={ink} />
          {vectors.map(([name, values]) => (
            <Strip key={name} name={name} values={values} limit={limit} />
          ))}
        </dl>
      </div>
      <p class="see-caption">
        Blue is above zero, orange below, full color at ±{decimal(limit)}. The token is the sum of what the
        patch shows and where it is.
      </p>
      <Numbers
        columns={['element', 'embedding', 'position', 'token']}
        rows={Array.from({ length: dim }, (_, i) => [String(i), ...vectors.map(([, v]) => Number(v[i]))])}
      />
    </div>
  )
}

/** A vector as a bar of colours. */
function Strip({
  name,
  values,
  ...rest
}: {
  readonly name: string
  readonly values: Float32Array
  readonly limit?: number
  readonly colour?: MatrixProps['colour']
}) {
  return (
    <div class="see-named">
      <dt>{name}</dt>
      <dd class="see-measured">
        <Matrix data={values} rows={1} class="see-strip" {...rest} />
        <span class="see-range">
          {decimal(Math.min(...values))} … {decimal(Math.max(...values))}
        </span>
      </dd>
    </div>
  )
}
