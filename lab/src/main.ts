import { centreDigit, isBlank, lightOnDark } from '../../src/data/digit.ts'
import { UserError } from '../../src/graph/errors.ts'
import { Board } from './board.ts'
import { type Classifier, openClassifier, softmax } from './model.ts'
import { runtime, threads } from './runtime.ts'
import { page, say, showModel, showReading, showRuntime, showSeen } from './view.ts'

/** `window.lab`: what the page can do, for the browser's console and for tests. */
export interface Lab {
  /** Logits of images, `[n, 1, 28, 28]` flat, pixels in [0, 1], by the model that is loaded: `[n, classes]` flat. */
  logits(pixels: Iterable<number>): Promise<number[]>
}

declare global {
  interface Window {
    lab: Lab
  }
}

let classifier: Classifier | undefined
/** Counts the files that were asked for: a slow one must not replace one that was asked for after it. */
let asked = 0
/** The reading under way. */
let reading: Promise<void> | undefined
/** The drawing or the model changed since the reading under way began. */
let stale = false

function read(): void {
  stale = true
  reading ??= readWhileStale().finally(() => {
    reading = undefined
  })
}

async function readWhileStale(): Promise<void> {
  while (stale) {
    stale = false
    await readDrawing().catch((error: unknown) => {
      if (classifier) showReading(classifier, undefined)
      say(textOf(error), 'error')
    })
  }
}

async function readDrawing(): Promise<void> {
  const drawing = board.gray()
  const digit = isBlank(drawing) ? undefined : centreDigit(lightOnDark(drawing).gray)
  showSeen(digit)
  const reader = classifier
  if (!reader) return
  if (!digit) return showReading(reader, undefined)
  const start = performance.now()
  const logits = await reader.logits(digit)
  showRuntime(runtime.version, threads(), performance.now() - start)
  showReading(reader, softmax(logits))
}

/** Takes another model; where that fails the page says why and keeps the one it has. */
async function take(name: string, bytesOf: () => Promise<Uint8Array>): Promise<void> {
  const mine = ++asked
  say(`Loading ${name} …`)
  try {
    const opened = await openClassifier(runtime, await bytesOf(), name)
    if (mine !== asked) return await opened.close()
    const old = classifier
    classifier = opened
    say('')
    showModel(opened)
    showRuntime(runtime.version, threads())
    read()
    await reading
    await old?.close()
  } catch (error) {
    if (mine === asked) say(textOf(error), 'error')
  }
}

const takeFile = (file: File | undefined): void => {
  if (file) void take(file.name, async () => new Uint8Array(await file.arrayBuffer()))
}

/** The model at `?model=URL`, of this origin only, else `model.onnx` beside the page, which need not be there. */
async function takeGiven(): Promise<void> {
  const given = new URLSearchParams(location.search).get('model')
  const url = new URL(given ?? 'model.onnx', location.href)
  if (url.origin !== location.origin)
    return say(`${url.href}: this page loads models of its own origin only, ${location.origin}`, 'error')
  const name = url.pathname.split('/').at(-1) || url.pathname
  const answer = await fetch(url).catch(() => undefined)
  if (answer?.ok) return take(name, async () => new Uint8Array(await answer.arrayBuffer()))
  if (asked) return
  if (!given) return say('There is no model.onnx beside this page. Choose the one of a run folder.')
  say(`${name}: ${answer ? `the server answers ${answer.status}` : 'the server does not answer'}`, 'error')
}

const textOf = (error: unknown): string =>
  error instanceof UserError ? error.message : `Something went wrong: ${String(error)}`

const board = new Board(page.board, page.cursor, read)
page.clear.addEventListener('click', () => board.clear())
page.file.addEventListener('change', () => {
  takeFile(page.file.files?.[0])
  // The same file can be chosen again, after it was written anew.
  page.file.value = ''
})
document.addEventListener('dragover', event => event.preventDefault())
document.addEventListener('drop', event => {
  event.preventDefault()
  takeFile(event.dataTransfer?.files[0])
})

window.lab = {
  async logits(pixels) {
    if (!classifier) throw new UserError('no model is loaded')
    return [...(await classifier.logits(Float32Array.from(pixels)))]
  },
}
showRuntime(runtime.version, threads())
void takeGiven()
