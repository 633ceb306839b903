import { useRef } from 'preact/hooks'
import { Picture, type PictureProps } from './pixels.tsx'

export interface PatchPickerProps extends Pick<PictureProps, 'pixels' | 'shape' | 'light'> {
  /** What is picked, for a legend. */
  readonly label: string
  /** Patches along a side. */
  readonly side: number
  /** 0 is the CLS token, where there is one; patches count from 1, row by row. */
  readonly value: number
  readonly onPick: (token: number) => void
  readonly cls?: boolean
  /** The pointer picks by pointing, without a click. */
  readonly hover?: boolean
}

/** A picture whose patches can be picked: with the pointer, or by arrow keys as on a grid, with CLS before the first. */
export function PatchPicker(props: PatchPickerProps) {
  const { label, side, value, onPick, cls, hover, ...picture } = props
  const group = useRef<HTMLDivElement>(null)
  const first = cls ? 0 : 1
  const count = side * side
  const go = (token: number) => {
    const to = Math.min(Math.max(token, first), count)
    onPick(to)
    group.current?.querySelector<HTMLElement>(`[data-token="${to}"]`)?.focus()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: value - 1,
      ArrowRight: value + 1,
      ArrowUp: value - side > 0 ? value - side : first,
      ArrowDown: value === 0 ? 1 : value + side <= count ? value + side : value,
      Home: first,
      End: count,
    }
    const to = steps[event.key]
    if (to === undefined) return
    event.preventDefault()
    go(to)
  }
  const choice = (token: number, name: string) => (
    // biome-ignore lint/a11y/useSemanticElements: inputs of type radio know no grid
    <button
      type="button"
      class="see-cell"
      role="radio"
      key={token}
      data-token={token}
      aria-checked={token === value}
      aria-label={name}
      tabIndex={token === value ? 0 : -1}
      onClick={() => onPick(token)}
      onPointerEnter={event => {
        if (hover && event.pointerType === 'mouse') onPick(token)
      }}
    >
      {token === 0 ? 'CLS' : undefined}
    </button>
  )
  return (
    <div class="see-picker" role="radiogroup" aria-label={label} ref={group} onKeyDown={onKeyDown}>
      {cls && <div class="see-picker-cls">{choice(0, 'CLS token')}</div>}
      <div class="see-picker-grid" style={{ '--side': side }}>
        <Picture {...picture} class="see-under" />
        {Array.from({ length: count }, (_, i) => choice(i + 1, placeOf(i + 1, side)))}
      </div>
    </div>
  )
}

/** Where a token stands, in words. */
export const placeOf = (token: number, side: number): string =>
  token === 0
    ? 'CLS token'
    : `patch ${token}, row ${Math.floor((token - 1) / side) + 1}, column ${((token - 1) % side) + 1}`
