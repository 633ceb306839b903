import type { Classifier } from './model.ts'

const byId = <E extends HTMLElement = HTMLElement>(id: string): E => {
  const element = document.getElementById(id)
  if (!element) throw new Error(`internal: the page has no #${id}`)
  return element as E
}

export const page = {
  board: byId('board'),
  cursor: byId('cursor'),
  clear: byId<HTMLButtonElement>('clear'),
  file: byId<HTMLInputElement>('file'),
}

const message = byId('message')
const model = byId('model')
const bars = byId('bars')
const predicted = byId('predicted')
const certainty = byId('certainty')
const runtimeLine = byId('runtime')
const seen = byId<HTMLCanvasElement>('seen').getContext('2d')

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

/** One line below the model; an empty one goes away. */
export function say(text: string, kind: 'info' | 'error' = 'info'): void {
  message.textContent = text
  message.dataset.kind = kind
}

export function showModel({ name, bytes, info, classes }: Classifier): void {
  const accuracy = info.training?.testAccuracy
  model.textContent = [
    name,
    ...(info.model ? [info.model.name] : []),
    `${(bytes / 1024).toFixed(0)} KB`,
    ...(typeof accuracy === 'number' ? [`test accuracy ${percent(accuracy)}`] : []),
  ].join(' · ')
  bars.replaceChildren(...classes.map(bar))
}

function bar(name: string): HTMLElement {
  const item = document.createElement('li')
  for (const [part, text] of [
    ['name', name],
    ['bar', ''],
    ['share', percent(0)],
  ] as const) {
    const span = document.createElement('span')
    span.className = part
    span.textContent = text
    item.append(span)
  }
  return item
}

/** The probability of each class; nothing drawn, no probabilities. */
export function showReading({ classes }: Classifier, probabilities: Float32Array | undefined): void {
  const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1
  predicted.textContent = classes[best] ?? '–'
  certainty.textContent = probabilities ? percent(probabilities[best]!) : 'draw a digit'
  for (const [i, item] of [...bars.children].entries()) {
    const share = probabilities?.[i] ?? 0
    const [, line, text] = item.children as unknown as HTMLElement[]
    line!.style.setProperty('--share', String(share))
    text!.textContent = percent(share)
    item.classList.toggle('best', i === best)
  }
}

/** The 28 × 28 pixels in [0, 1] that the model gets. */
export function showSeen(digit: Float32Array | undefined): void {
  const picture = new ImageData(28, 28)
  digit?.forEach((v, i) => {
    picture.data.set([255, 255, 255, Math.round(255 * v)], 4 * i)
  })
  seen?.putImageData(picture, 0, 0)
}

export function showRuntime(version: string, threads: number, milliseconds?: number): void {
  runtimeLine.textContent = [
    `onnxruntime-web ${version}`,
    'WebAssembly',
    crossOriginIsolated
      ? `${threads} ${threads === 1 ? 'thread' : 'threads'}`
      : '1 thread (this page is not cross-origin isolated, so the browser allows no more)',
    ...(milliseconds === undefined ? [] : [`${milliseconds.toFixed(1)} ms for the last reading`]),
  ].join(' · ')
}
