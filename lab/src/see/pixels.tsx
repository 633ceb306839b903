import { useLayoutEffect, useRef } from 'preact/hooks'
import { type Colour, DARK, GLOW, ink, reach, signed } from './colour.ts'

interface Described {
  /** What it shows, for those who do not see it; left out where a text beside it says the same. */
  readonly label?: string
  readonly class?: string
  readonly id?: string
}

interface CanvasProps extends Described {
  readonly width: number
  readonly height: number
  readonly draw: (context: CanvasRenderingContext2D) => void
  /** What the drawing depends on. */
  readonly of: readonly unknown[]
}

/** A canvas of few pixels, scaled by the page. */
function Canvas({ width, height, draw, of, label, class: name = '', id }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d', { willReadFrequently: true })
    if (context) draw(context)
  }, [width, height, ...of])
  const about = label ? ({ role: 'img', 'aria-label': label } as const) : ({ 'aria-hidden': true } as const)
  return <canvas ref={canvas} id={id} width={width} height={height} class={`see-pixels ${name}`} {...about} />
}

export interface PixelsProps extends Described {
  readonly rows: number
  readonly columns: number
  readonly colour: (row: number, column: number) => Colour
  /** What the colours depend on. */
  readonly of: readonly unknown[]
}

/** One pixel of colour for each cell. */
export function Pixels({ rows, columns, colour, ...rest }: PixelsProps) {
  const draw = (context: CanvasRenderingContext2D) =>
    context.putImageData(picture(rows, columns, colour), 0, 0)
  return <Canvas width={columns} height={rows} draw={draw} {...rest} />
}

export interface MatrixProps extends Described {
  /** Row-major. */
  readonly data: Float32Array
  readonly rows: number
  /** Signed values get their full colour at ± this much. @default the largest of them */
  readonly limit?: number
  /** In place of the colours of signed values. */
  readonly colour?: (v: number) => Colour
}

/** A matrix as a map of its values. */
export function Matrix({ data, rows, limit = reach(data), colour = signed(limit), ...rest }: MatrixProps) {
  const columns = data.length / rows
  return (
    <Pixels
      rows={rows}
      columns={columns}
      colour={(row, column) => colour(Number(data[row * columns + column]))}
      of={[data, limit]}
      {...rest}
    />
  )
}

export interface PictureProps extends Described {
  /** `[channels, height, width]`, pixels in [0, 1]. */
  readonly pixels: Float32Array
  readonly shape: readonly [channels: number, height: number, width: number]
  /** How strongly each patch is lit, row by row: a square number of values; the largest is lit fully. */
  readonly light?: Float32Array
}

/** An image, and what a model looks at in it. */
export function Picture({ pixels, shape, light, ...rest }: PictureProps) {
  const [channels, height, width] = shape
  const draw = (context: CanvasRenderingContext2D) => {
    context.drawImage(imageOf(pixels, shape), 0, 0)
    if (!light) return
    const side = Math.sqrt(light.length)
    const most = Math.max(...light) || 1
    const [w, h] = [width / side, height / side]
    light.forEach((v, i) => {
      // Amber would hide colours: there the other patches are darkened.
      context.fillStyle =
        channels === 1 ? `rgb(${GLOW} / ${(0.8 * v) / most})` : `rgb(${DARK} / ${0.8 * (1 - v / most)})`
      context.fillRect((i % side) * w, Math.floor(i / side) * h, w, h)
    })
  }
  return <Canvas width={width} height={height} draw={draw} of={[pixels, light]} {...rest} />
}

const images = new WeakMap<Float32Array, OffscreenCanvas>()

/** The picture alone; one that is shown many times is made once. */
function imageOf(pixels: Float32Array, [channels, height, width]: PictureProps['shape']): OffscreenCanvas {
  const known = images.get(pixels)
  if (known) return known
  const made = new OffscreenCanvas(width, height)
  const at = (channel: number, row: number, column: number) =>
    Number(pixels[(Math.min(channel, channels - 1) * height + row) * width + column])
  const colour = (row: number, column: number): Colour =>
    ink(at(0, row, column), at(1, row, column), at(2, row, column))
  made.getContext('2d', { willReadFrequently: true })?.putImageData(picture(height, width, colour), 0, 0)
  images.set(pixels, made)
  return made
}

function picture(rows: number, columns: number, colour: PixelsProps['colour']): ImageData {
  const made = new ImageData(columns, rows)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      made.data.set(colour(row, column), 4 * (row * columns + column))
  return made
}
