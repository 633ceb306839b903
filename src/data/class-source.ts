import { lookup, nth } from '../graph/present.ts'
import { permutation } from './batches.ts'
import type { Arranged } from './class-folders.ts'
import type { SplitPictures } from './class-part.ts'
import { type ClassPlan, type PlanOptions, planned } from './class-plan.ts'
import { type ImageDataset, type ImageSource, imageSource, labelsFor } from './dataset.ts'
import { heldOut } from './held-out.ts'
import { joined } from './notice.ts'
import type { Target } from './preprocess.ts'
import type { Split } from './split-names.ts'
import { skippedNotices, type Unreadable, unreadableError } from './unreadable.ts'

export interface ClassSourceOptions extends PlanOptions {
  readonly log?: ((line: string) => void) | undefined
}

/** Which pictures there are. Paths are from the data folder, with `/`. */
export interface Listing {
  /** Classes and splits. @param skip files that are taken for missing */
  readonly arranged: (skip: ReadonlySet<string>) => Arranged
  /** What cannot even be listed. */
  readonly broken: readonly Unreadable[]
}

/** Reads pictures. */
export interface PictureReader {
  /**
   * Decides what the pictures are made into.
   * @param paths of all pictures @param training of those to train on, in an order in which the classes are mixed
   */
  readonly target: (paths: readonly string[], training: readonly string[]) => Promise<Target>
  /**
   * @param paths of pictures
   * @param where the folder that they lie in
   * @returns the pixels of all, `[count, channels, height, width]`, zeros for those that are unreadable
   */
  readonly read: (paths: readonly string[], where: string, target: Target) => Promise<Pictures>
  /** The programs that prepare the pictures, on which their pixels depend. */
  readonly preparedBy: string
}

export interface Pictures {
  readonly images: Uint8Array
  readonly unreadable: readonly Unreadable[]
}

/**
 * Pictures in one folder per class as data: a fifth of each class is held out to test if there is no test split. The classes are
 * mixed, in an order that is always the same, and the same as if skipped pictures were not there.
 * @param where the data folder's name in error messages
 * @throws UserError naming all unusable files, or saying what is missing
 */
export async function classSource(
  where: string,
  { arranged, broken }: Listing,
  { target: decide, read, preparedBy }: PictureReader,
  options: ClassSourceOptions,
): Promise<ImageSource> {
  const { skipBad = false, log = () => {} } = options
  const whole = planned(arranged(new Set()), options)
  const parts = Object.values(whole.parts)
  const all = parts.flatMap(part => ordered(part, whole).map(p => p.path))
  const training = ordered(whole.parts.train, whole).map(p => p.path)
  const target = await decide(all, training)
  const pictures = new Map<string, Pictures>()
  let count = broken.length
  for (const [split, part] of Object.entries(whole.parts)) {
    const paths = ordered(part, whole).map(p => p.path)
    count += paths.length
    pictures.set(split, await read(paths, part.where, target))
  }
  const unreadable = [...broken, ...[...pictures.values()].flatMap(p => p.unreadable)]
  if (unreadable.length && !skipBad) throw unreadableError(where, unreadable, count, log)

  const bad = new Set(unreadable.map(({ path }) => path))
  const plan = bad.size ? planned(arranged(bad), options) : whole
  const dataset = (split: Split, part: SplitPictures): ImageDataset => {
    const [before, order] = [ordered(lookup(whole.parts, split), whole), ordered(part, plan)]
    const { images } = lookup(pictures, split)
    const labels = labelsFor(plan.classes, order.length)
    order.forEach(({ label }, i) => {
      labels[i] = label
    })
    return {
      name: `pictures/${split}`,
      size: order.length,
      shape: target.shape,
      classes: options.classes ?? plan.classes,
      images: before.length === order.length ? images : rearranged(images, before, order),
      labels,
    }
  }
  const { val, test } = plan.parts
  const train = dataset('train', plan.parts.train)
  const sets = test
    ? { train, test: dataset('test', test), notice: undefined }
    : { notice: undefined, ...heldOut({ ...train, name: where }) }
  const named = (set: ImageDataset, name: string): ImageDataset => ({ ...set, name: `pictures/${name}` })
  const skipped = [...bad, ...plan.left].sort()
  const from = `${plan.classes.length} classes in the folder ${where}`
  return {
    ...imageSource(
      named(sets.train, 'train'),
      named(sets.test, test ? 'test' : 'held-out'),
      from,
      target.preprocessing,
    ),
    fromPictures: true,
    ...(val ? { val: dataset('val', val) } : {}),
    ...(skipped.length ? { skipped } : {}),
    preparedBy,
    ...joined(...skippedNotices(unreadable, count, plan.left), ...plan.notices, sets.notice),
  }
}

interface Picture {
  readonly path: string
  readonly label: number
}

/** The pictures of a split in an order in which the classes are mixed, and which is always the same. */
function ordered({ pictures }: SplitPictures, { classes }: Pick<ClassPlan, 'classes'>): readonly Picture[] {
  const sorted = classes.flatMap((name, label) => (pictures.get(name) ?? []).map(path => ({ path, label })))
  return Array.from(permutation(sorted.length, 0, 0), i => nth(sorted, i))
}

/** The images of some of the pictures, in their order. */
function rearranged(images: Uint8Array, before: readonly Picture[], after: readonly Picture[]): Uint8Array {
  const pixels = images.length / before.length
  const places = new Map(before.map(({ path }, i) => [path, i]))
  const moved = new Uint8Array(after.length * pixels)
  after.forEach(({ path }, i) => {
    const from = lookup(places, path) * pixels
    moved.set(images.subarray(from, from + pixels), i * pixels)
  })
  return moved
}
