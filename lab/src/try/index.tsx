import { useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { pixelsOf } from '../../../src/data/image-web.ts'
import { MNIST_DIGIT } from '../../../src/data/preprocess.ts'
import { resample } from '../../../src/data/resample.ts'
import { shownName } from '../../../src/graph/printable.ts'
import type { LabClient } from '../client.ts'
import type { ModelAbout } from '../protocol.ts'
import { newest } from '../see/newest.ts'
import type { Sight } from '../see/sight.ts'
import { Pick } from '../ui/field.tsx'
import { Board } from './board.ts'
import { drawing, drawn, given, prepare, prepareFile } from './drawing.ts'
import { Reading } from './reading.tsx'
import './try.css'

/** What the board is read as while there is no model. */
const DIGIT: Pick<ModelAbout, 'input' | 'preprocessing'> = {
  input: [1, 28, 28],
  preprocessing: MNIST_DIGIT,
}

/** A board to draw a digit on, and what the model reads in it. */
export function TryView({ lab }: { readonly lab: LabClient }) {
  const sight = useSignal<Sight | undefined>(undefined)
  const read = useMemo(
    () =>
      newest(async (about: ModelAbout | undefined) => {
        sight.value = await lab.attempt(readNow(lab, about))
      }),
    [lab, sight],
  )
  useSignalEffect(() => {
    // Read, so that a drawing, a picture or another state of the model is read again.
    void [lab.changes.value, drawing.value, given.value]
    read(lab.about.value)
  })
  useSignalEffect(() => {
    const file = lab.picture.value
    if (!file) return
    lab.picture.value = undefined
    given.value = { name: shownName(file.name), file }
  })
  return (
    <div class="try">
      <section class="card" aria-labelledby="board-title">
        <div class="title">
          <h2 id="board-title">{given.value ? given.value.name : 'Drawing'}</h2>
          <button id="clear" type="button" onClick={clear}>
            Clear
          </button>
        </div>
        {given.value ? <Shown file={given.value.file} /> : <Drawing />}
        <p class="try-picture-choice">
          <Pick
            id="picture"
            label="Choose a picture"
            accept="image/*"
            quiet
            onPick={([file]) => {
              if (file) given.value = { name: shownName(file.name), file }
            }}
          />
          <span class="quiet">or drop one on the page</span>
        </p>
      </section>
      <Reading lab={lab} sight={sight.value} />
    </div>
  )
}

function clear(): void {
  given.value = undefined
  drawing.value = undefined
}

/** What there is to read and what the model makes of it; undefined where there is nothing, or no model. */
async function readNow(lab: LabClient, about: ModelAbout | undefined): Promise<Sight | undefined> {
  const wanted = about ?? DIGIT
  const file = given.value
  drawn.value = await (file
    ? pictureOrNone(lab, file, wanted)
    : drawing.value && prepare(drawing.value.board.gray(), wanted))
  const pixels = drawn.value
  if (!pixels || !about) return undefined
  return { pixels, about, look: await lab.ask('look', pixels, true) }
}

/** A file that is no picture gives its place back to the board. */
async function pictureOrNone(lab: LabClient, file: NonNullable<typeof given.value>, wanted: typeof DIGIT) {
  const pixels = await lab.attempt(prepareFile(file, wanted))
  if (pixels) lab.say('')
  else if (given.value === file) given.value = undefined
  return pixels
}

function Drawing() {
  const frame = useRef<HTMLDivElement>(null)
  const cursor = useRef<HTMLSpanElement>(null)
  useEffect(() => {
    if (!frame.current || !cursor.current) return undefined
    const changed = () => {
      drawing.value = { board }
    }
    const board = new Board(frame.current, cursor.current, changed)
    if (drawing.value) board.resume(drawing.value.board)
    return drawing.subscribe(now => {
      if (!now) board.wipe()
    })
  }, [])
  return (
    <>
      <div
        id="board"
        ref={frame}
        role="application"
        aria-label="Drawing board for a digit"
        aria-describedby="keys"
      >
        <canvas />
        <span id="cursor" ref={cursor} aria-hidden="true" />
      </div>
      <p id="keys" class="quiet">
        Mouse, pen or finger. With the keyboard: <kbd>arrows</kbd> move, <kbd>Space</kbd> lowers and lifts the
        pen, <kbd>Delete</kbd> clears.
      </p>
    </>
  )
}

/** The picture in the board's place. */
function Shown({ file }: { readonly file: File }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    let gone = false
    // One that cannot be read is said to be so where it is prepared.
    pixelsOf(file, file.name).then(
      picture => {
        const target = canvas.current
        if (gone || !target) return
        const scale = Math.min(1, 560 / Math.max(picture.width, picture.height))
        const shrunk = (side: number) => Math.max(1, Math.round(side * scale))
        const { data, width, height } = resample(picture, {
          width: shrunk(picture.width),
          height: shrunk(picture.height),
        })
        const image = new ImageData(width, height)
        for (let i = 0; i < width * height; i++)
          image.data.set([Number(data[3 * i]), Number(data[3 * i + 1]), Number(data[3 * i + 2]), 255], 4 * i)
        target.width = width
        target.height = height
        target.getContext('2d')?.putImageData(image, 0, 0)
      },
      () => {},
    )
    return () => {
      gone = true
    }
  }, [file])
  return (
    <div id="shown">
      <canvas
        ref={canvas}
        class="try-picture"
        role="img"
        aria-label={`The picture ${shownName(file.name)}`}
      />
    </div>
  )
}
