import { availableParallelism } from 'node:os'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { type Ink, inkOf, mostOf } from './digit.ts'
import { aboutPicture, readPixels } from './image-node.ts'
import {
  grayscale,
  imageShape,
  isGray,
  type Preprocessing,
  type PreprocessingKind,
  type Target,
} from './preprocess.ts'
import type { Size } from './resample.ts'

/** Drawings that are looked at to see what ink a data set has. */
const DRAWINGS = 256

/** What pictures of a folder become. */
export interface FollowOptions {
  /** What the model takes: `[channels, height, width]`. */
  readonly shape: readonly number[]
  /** What of `shape` gives way to the pictures. @default nothing */
  readonly follow?: {
    /** Whether the model can take square pictures of this side, where all pictures are of that size. */
    readonly size?: (side: number) => boolean
    /** One channel where all pictures are gray, else three. */
    readonly channels?: boolean
  }
  /** How pictures are preprocessed; unless given, the ink of digits is that of most of them. @default resize */
  readonly preprocessing?: { readonly kind: PreprocessingKind } | Preprocessing
  /** Gets a line about what was decided. */
  readonly log?: (line: string) => void
}

/**
 * Decides what the pictures of a data set are made into, by looking at them. Files that cannot be read are passed over: who reads them all
 * says so.
 * @param paths of all pictures @param training of those to train on, in an order in which the classes are mixed
 * @throws UserError when the model takes no pictures
 */
export async function targetOf(
  paths: readonly string[],
  training: readonly string[],
  { shape, follow = {}, preprocessing: asked = { kind: 'resize' }, log = () => {} }: FollowOptions,
): Promise<Target> {
  const [channels, height, width] = imageShape(
    follow.channels ? [1, ...shape.slice(1)] : shape,
    paths[0] ?? '',
  )
  if (asked.kind === 'digit') {
    const preprocessing =
      'ink' in asked ? asked : ({ kind: 'digit', ink: await inkOfMost(training) } as const)
    return { shape: [channels, height, width], preprocessing }
  }
  const preprocessing: Preprocessing = { kind: asked.kind }
  const size = follow.size && (await commonSize(paths))
  const colours = follow.channels && !(await areGray(paths))
  const own = colours ? 3 : channels
  if (follow.size) log(`pictures: ${size ? `all ${size.width} × ${size.height}` : 'of several sizes'}`)
  const side = size && size.width === size.height && follow.size?.(size.width) ? size.width : undefined
  return { shape: side ? [own, side, side] : [own, height, width], preprocessing }
}

/** The size that all pictures have. */
async function commonSize(paths: readonly string[]): Promise<Size | undefined> {
  let common: Size | undefined
  const alike = await every(paths, async path => {
    const { width, height } = await aboutPicture(path)
    common ??= { width, height }
    return common.width === width && common.height === height
  })
  return alike ? common : undefined
}

const areGray = (paths: readonly string[]): Promise<boolean> =>
  every(paths, async path => (await aboutPicture(path)).isGray || isGray(await readPixels(path)))

async function inkOfMost(paths: readonly string[]): Promise<Ink> {
  const inks: (Ink | undefined)[] = []
  await every(paths.slice(0, DRAWINGS), async path => inks.push(inkOf(grayscale(await readPixels(path)))) > 0)
  return mostOf(inks)
}

/** Whether all pictures that can be read pass a test; ends with the first that does not. */
async function every(paths: readonly string[], test: (path: string) => Promise<boolean>): Promise<boolean> {
  let next = 0
  let passed = true
  const worker = async () => {
    while (passed && next < paths.length) {
      const path = nth(paths, next++)
      const passes = await test(path).catch((error: unknown) => {
        if (error instanceof UserError) return true
        throw error
      })
      passed &&= passes
    }
  }
  await Promise.all(Array.from({ length: Math.min(paths.length, availableParallelism()) }, worker))
  return passed
}
