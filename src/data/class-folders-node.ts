import { constants } from 'node:buffer'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { VERSION } from '../version.ts'
import { arrange } from './class-folders.ts'
import type { PlanOptions } from './class-plan.ts'
import { classSource, type Pictures } from './class-source.ts'
import type { ImageSource } from './dataset.ts'
import { loadSharp, readPixels } from './image-node.ts'
import { preprocess, type Target } from './preprocess.ts'
import { type FollowOptions, targetOf } from './survey-node.ts'
import { EMPTY_FILE, type Unreadable, whyUnreadable } from './unreadable.ts'
import { walk } from './walk-node.ts'

/** Progress is reported after this many pictures. */
const NOTE_EVERY = 5000

export type ClassFolderOptions = PlanOptions & FollowOptions

/** What the pixels of pictures depend on. */
async function preparedBy(): Promise<string> {
  const { versions } = await loadSharp()
  return `onnxgrad ${VERSION}, sharp ${versions.sharp}, libvips ${versions.vips}, ${process.platform} ${process.arch}`
}

/**
 * Your own pictures: one folder of pictures per class, `cat/1.jpg`, `dog/2.png`, with a fifth of each class held out for testing;
 * or such folders in a folder per split (`train`, `val`, `test` or a synonym, in any case), where `test` (else held out as before)
 * and `val` may be missing. A class folder may have subfolders. Pictures are preprocessed by the {@link Preprocessing} in the
 * options.
 * @throws UserError naming all unusable files, or saying what is missing
 */
export async function classFolders(folder: string, options: ClassFolderOptions): Promise<ImageSource> {
  const { log = () => {} } = options
  const { files, folders, broken } = await walk(folder)
  const arranged = (skip: ReadonlySet<string>) =>
    arrange(
      folder,
      files.filter(path => !skip.has(path)),
      folders,
    )
  const within = (paths: readonly string[]) => paths.map(path => join(folder, path))
  return classSource(
    folder,
    { arranged, broken },
    {
      target: (all, training) => targetOf(within(all), within(training), options),
      read: (paths, where, target) => decode(folder, paths, target, where, log),
      preparedBy: await preparedBy(),
    },
    options,
  )
}

/** Reads pictures in the order of their paths. */
async function decode(
  folder: string,
  paths: readonly string[],
  { shape, preprocessing }: Target,
  where: string,
  log: (line: string) => void,
): Promise<Pictures> {
  const size = paths.length
  const pixels = shape.reduce((a, b) => a * b, 1)
  const count = size.toLocaleString('en-US')
  if (size * pixels > constants.MAX_LENGTH)
    throw new UserError(
      `${where}: ${count} pictures of ${shape.join('×')} take more than the ${constants.MAX_LENGTH.toLocaleString('en-US')} bytes that one array can hold; make them smaller (--image)`,
    )
  const images = new Uint8Array(size * pixels)
  const unreadable: Unreadable[] = []
  if (size >= NOTE_EVERY) log(`reading ${count} pictures in ${where}`)
  let next = 0
  let done = 0
  const worker = async () => {
    while (next < size) {
      const at = next++
      const path = join(folder, nth(paths, at))
      try {
        images.set(preprocess(await readPixels(path), preprocessing, shape).image, at * pixels)
      } catch (error) {
        const why = whyUnreadable(error, path)
        const empty = await stat(path).then(
          ({ size }) => size === 0,
          () => false,
        )
        unreadable.push({ path: nth(paths, at), why: empty ? EMPTY_FILE : why })
      }
      if (++done % NOTE_EVERY === 0 && done < size)
        log(`${done.toLocaleString('en-US')} of ${count} pictures read`)
    }
  }
  // One at a time per thread: a decoded photograph takes a hundred times the memory of its pixels here.
  await Promise.all(Array.from({ length: Math.min(size, availableParallelism()) }, worker))
  return { images, unreadable }
}
