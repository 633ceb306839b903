import type { Gray } from '../../../src/data/digit.ts'

/** Side of the drawing in its own pixels, independent of its size on the page. */
const SIDE = 560
/** Side at which it is read. */
const READ = SIDE / 2
/** Width of the pen: a digit that fills two thirds of the board gets strokes as wide as MNIST's. */
const PEN = 46
/** What an arrow key moves the pen by; with Shift four times as far. */
const STEP = SIDE / 28

interface Point {
  readonly x: number
  readonly y: number
}

const CENTRE: Point = { x: SIDE / 2, y: SIDE / 2 }

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
}

/**
 * A canvas to draw on: with a mouse, a finger or a stylus, or with the keyboard (arrow keys move the pen, Space puts
 * it down and lifts it, Delete clears).
 */
export class Board {
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #reader: OffscreenCanvasRenderingContext2D
  readonly #cursor: HTMLElement
  readonly #changed: () => void
  #pen = CENTRE
  #down = false

  /**
   * @param frame holds a canvas, and takes the keyboard's focus
   * @param cursor shows where the keyboard's pen is; lies over the canvas
   * @param changed called after each change of the drawing
   */
  constructor(frame: HTMLElement, cursor: HTMLElement, changed: () => void) {
    const canvas = frame.querySelector('canvas')
    // Both in plain memory, where they are read without delay.
    const context = canvas?.getContext('2d', { willReadFrequently: true })
    const reader = new OffscreenCanvas(READ, READ).getContext('2d', { willReadFrequently: true })
    if (!canvas || !context || !reader) throw new Error('internal: there is no canvas to draw on')
    canvas.width = SIDE
    canvas.height = SIDE
    frame.tabIndex = 0
    this.#canvas = canvas
    this.#context = context
    this.#reader = reader
    this.#cursor = cursor
    this.#changed = changed
    context.lineCap = 'round'
    context.lineJoin = 'round'
    context.lineWidth = PEN
    context.strokeStyle = 'white'
    canvas.addEventListener('pointerdown', this.#press)
    canvas.addEventListener('pointermove', this.#drag)
    frame.addEventListener('keydown', this.#key)
    frame.addEventListener('blur', () => this.#setDown(false))
    this.#movePen(CENTRE)
  }

  /** Takes all ink away, without saying so. */
  wipe(): void {
    this.#context.clearRect(0, 0, SIDE, SIDE)
    this.#setDown(false)
    this.#movePen(CENTRE)
  }

  /** The drawing, light ink on black. */
  gray(): Gray {
    this.#reader.clearRect(0, 0, READ, READ)
    this.#reader.drawImage(this.#canvas, 0, 0, READ, READ)
    const { data } = this.#reader.getImageData(0, 0, READ, READ)
    // The ground is transparent, so that the page may colour it: the ink is what covers it.
    const pixels = new Uint8Array(READ * READ)
    for (let i = 0; i < pixels.length; i++) pixels[i] = Number(data[4 * i + 3])
    return { data: pixels, width: READ, height: READ, channels: 1 }
  }

  /** Takes over the drawing of another board. */
  resume(other: Board): void {
    this.#context.drawImage(other.#canvas, 0, 0)
  }

  #press = (event: PointerEvent): void => {
    if (event.button !== 0 || !event.isPrimary) return
    this.#canvas.setPointerCapture(event.pointerId)
    this.#setDown(false)
    this.#movePen(this.#pointOf(event))
    this.#drawTo(this.#pen)
  }

  #drag = (event: PointerEvent): void => {
    if (!this.#canvas.hasPointerCapture(event.pointerId)) return
    // A browser may report several movements at once.
    const moves = event.getCoalescedEvents()
    for (const move of moves.length ? moves : [event]) this.#drawTo(this.#pointOf(move))
  }

  #key = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const arrow = ARROWS[event.key]
    if (arrow) {
      const far = event.shiftKey ? 4 : 1
      const to = { x: within(this.#pen.x + far * arrow.x), y: within(this.#pen.y + far * arrow.y) }
      if (this.#down) this.#drawTo(to)
      else this.#movePen(to)
    } else if (event.key === ' ') {
      if (!event.repeat) this.#setDown(!this.#down)
      if (this.#down) this.#drawTo(this.#pen)
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      this.wipe()
      this.#changed()
    } else return
    event.preventDefault()
  }

  #pointOf({ clientX, clientY }: PointerEvent): Point {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect()
    return { x: ((clientX - left) / width) * SIDE, y: ((clientY - top) / height) * SIDE }
  }

  #drawTo(to: Point): void {
    this.#context.beginPath()
    this.#context.moveTo(this.#pen.x, this.#pen.y)
    this.#context.lineTo(to.x, to.y)
    this.#context.stroke()
    this.#movePen(to)
    this.#changed()
  }

  #movePen(to: Point): void {
    this.#pen = to
    this.#cursor.style.left = `${(100 * to.x) / SIDE}%`
    this.#cursor.style.top = `${(100 * to.y) / SIDE}%`
  }

  #setDown(down: boolean): void {
    this.#down = down
    this.#cursor.dataset.pen = down ? 'down' : 'up'
  }
}

const within = (v: number): number => Math.min(Math.max(v, 0), SIDE)
