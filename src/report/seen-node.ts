import { nth } from '../graph/present.ts'
import type { Answered } from './answers.ts'
import type { Attention, Gaze } from './attention.ts'
import { AMBER, type Colour, glow, signed } from './colour.ts'
import { type Html, html, named } from './html.ts'
import { cosines } from './maths.ts'
import { cells, photo, pixelsOf } from './picture-node.ts'
import { count, percent } from './text.ts'

type Name = (label: number) => string

const CLEAR: Colour = [0, 0, 0, 0]

/** The wrong answers that cost most, as pictures. @param shape `[channels, height, width]` */
export async function mistakes(
  worst: readonly Answered[],
  shape: readonly number[],
  name: Name,
): Promise<Html> {
  if (!worst.length) return html`<p>None: every example is classified correctly.</p>`
  const pictures = await Promise.all(worst.map(a => photo(a.pixels, shape)))
  return html`<ol class="mistakes">${worst.map(
    ({ index, truth, guess, certainty, loss }, i) => html`<li><figure>
<img src="${nth(pictures, i)}" width="${nth(shape, 2)}" height="${nth(shape, 1)}" alt="Test image ${index}: ${name(truth)}, predicted as ${name(guess)}">
<figcaption><span>${named(name(truth))} → <b>${named(name(guess))}</b></span> <small>${percent(certainty)} sure</small> <small title="loss ${loss.toFixed(2)}">no. ${count(index)}</small></figcaption>
</figure></li>`,
  )}</ol>`
}

/** Pixels of a cell of a map, so that the gap between maps can be thinner than a cell. */
const zoomOf = (side: number): number => Math.max(1, Math.round(28 / side))

/** Maps in a grid, with gaps between them. @param of colour of a place in the map of that row and column */
function atlas(
  rows: number,
  columns: number,
  side: number,
  of: (row: number, column: number, place: number) => Colour,
): Promise<string> {
  const zoom = zoomOf(side)
  const gap = 3
  const pitch = side * zoom + gap
  return cells(columns * pitch - gap, rows * pitch - gap, (y, x) => {
    const [inY, inX] = [Math.floor((y % pitch) / zoom), Math.floor((x % pitch) / zoom)]
    if (inY >= side || inX >= side) return CLEAR
    return of(Math.floor(y / pitch), Math.floor(x / pitch), inY * side + inX)
  })
}

const largest = (values: Float32Array): number => values.reduce((a, b) => Math.max(a, b), 0)

/** The image, the more amber the more of a place reaches what the head reads. */
function lit(
  { reaching }: Gaze,
  side: number,
  pixels: Float32Array,
  shape: readonly number[],
): Promise<string> {
  const [, height = 1, width = 1] = shape
  const pixel = pixelsOf(pixels, shape)
  const [least, most] = [Math.min(...reaching), largest(reaching)]
  return cells(width, height, (y, x) => {
    const place = Math.floor((y * side) / height) * side + Math.floor((x * side) / width)
    const light = (0.7 * (nth(reaching, place) - least)) / (most - least || 1)
    const [red, green, blue] = pixel(y, x)
    const mix = (from: number, to: number) => from + (to - from) * light
    return [mix(red, AMBER[0]), mix(green, AMBER[1]), mix(blue, AMBER[2]), 255]
  })
}

/** What the model looks at in each image. @param shape `[channels, height, width]` */
export async function gazes(
  { side, gazes: all }: Attention,
  images: readonly Answered[],
  shape: readonly number[],
  name: Name,
): Promise<Html> {
  const figures = all.map(async (gaze, i) => {
    const { pixels, index, truth, guess } = nth(images, i)
    const tops = gaze.heads.map(heads => heads.map(largest))
    const [image, flow, maps] = await Promise.all([
      photo(pixels, shape),
      lit(gaze, side, pixels, shape),
      atlas(gaze.heads.length, nth(gaze.heads, 0).length, side, (block, head, place) =>
        glow(nth(nth(nth(gaze.heads, block), head), place) / nth(nth(tops, block), head)),
      ),
    ])
    const what = truth === guess ? name(truth) : `${name(truth)} predicted as ${name(guess)}`
    const guessed = html`<b>${named(name(guess))}</b>`
    const says = truth === guess ? guessed : html`${named(name(truth))} → ${guessed}`
    return html`<li><figure>
<div class="gaze"><div><img src="${image}" alt="Test image ${index}: ${what}"><img src="${flow}" alt="The same image with the places lit that reach the head"></div>
<img class="maps" src="${maps}" alt="Attention of ${gaze.heads.length} blocks and ${nth(gaze.heads, 0).length} heads"></div>
<figcaption><span>${says}</span> <small>no. ${count(index)}</small></figcaption></figure></li>`
  })
  return html`<ol class="gazes">${await Promise.all(figures)}</ol>`
}

/** How alike positions are. @param embedding `[T, dim]`; T a square, one more (with CLS), or of a row */
export async function positions(embedding: Float32Array, tokens: number, inRow: boolean): Promise<Html> {
  const alike = cosines(embedding, tokens)
  const places = Number.isInteger(Math.sqrt(tokens)) ? tokens : tokens - 1
  const first = inRow ? 0 : tokens - places
  const of = (a: number, b: number) => nth(alike, (a + first) * tokens + b + first)
  const others = alike.filter((_, i) => i % (tokens + 1) && i % tokens >= first && i >= first * tokens)
  const limit = others.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  const colour = signed(limit)
  const side = Math.sqrt(places)
  const picture = inRow
    ? await cells(tokens, tokens, (y, x) => colour(of(y, x)))
    : await atlas(side, side, side, (row, column, place) => colour(of(row * side + column, place)))
  const label = inRow
    ? `Similarity of ${tokens} positions: rows and columns from the first to the last`
    : `Similarity of the positions of ${places} places: one small map for each`
  return html`<figure class="positions"><img src="${picture}" alt="${label}">
<figcaption><span class="scale"><small>−${limit.toFixed(2)}</small><i></i><small>+${limit.toFixed(2)}</small></span><small>cosine similarity</small></figcaption></figure>`
}
