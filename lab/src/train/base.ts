import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import type { ImageShape } from '../../../src/data/preprocess.ts'
import type { TrainedPart } from '../../../src/runs/record.ts'
import type { LabClient, OpenFile } from '../client.ts'
import type { BaseAbout, DataAbout } from '../protocol.ts'

// The file that is to be fine-tuned.

/** What was found in the chosen file. */
export type Base =
  | { readonly state: 'none' }
  | { readonly state: 'reading'; readonly name: string }
  | { readonly state: 'failed'; readonly reason: string }
  | { readonly state: 'ready'; readonly about: BaseAbout }
export const base: Signal<Base> = signal({ state: 'none' })

/** What is trained of it. */
export const part: Signal<TrainedPart> = signal('headFirst')
export const PARTS: Readonly<Record<TrainedPart, string>> = {
  headFirst: 'Head first, then everything',
  head: 'Head only',
  all: 'Everything',
}

/** What is trained when, in a sentence. */
export const PARTS_IN_WORDS: Readonly<Record<TrainedPart, string>> = {
  headFirst: 'The first epoch trains the head; then the other layers learn too, at a tenth of its rate.',
  head: 'All layers before the head stay as they are, and read each picture only once.',
  all: 'All layers learn at the same rate from the start.',
}

/** What pictures the file takes, once that is known. */
export const baseInput: ReadonlySignal<ImageShape | undefined> = computed(() =>
  base.value.state === 'ready' ? base.value.about.input : undefined,
)

/** Counts requests: a file that is slow to read must not replace a later choice. */
let asked = 0

/** Reads the file, so that what it is, or what is wrong with it, is said before a training. */
export async function readBase(lab: LabClient, { name, bytes }: OpenFile): Promise<void> {
  const mine = ++asked
  const tell = (now: Base) => {
    if (mine === asked) base.value = now
  }
  tell({ state: 'reading', name })
  try {
    tell({ state: 'ready', about: await lab.readBase({ name, bytes }) })
  } catch (error) {
    tell({ state: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
}

/** A size in words. */
export const sizeOf = ([channels, height, width]: ImageShape): string =>
  `${height} × ${width}${channels === 3 ? ' in colour' : ' in gray'}`

/** Why the file cannot be trained on the data; undefined where it can. */
export function misfitOf({ input }: BaseAbout, { shape }: DataAbout): string | undefined {
  if (input.join() === shape.join()) return undefined
  return `The file takes pictures of ${sizeOf(input)}, and the data have ${sizeOf(shape)}: choose your own pictures under Data, which are made to fit.`
}

/** Whether the file's classes are those of the data, so that it keeps its head. */
export const keepsHead = ({ classNames }: BaseAbout, { classes }: DataAbout): boolean =>
  classNames?.length === classes.length && classNames.every((name, i) => name === classes[i])
