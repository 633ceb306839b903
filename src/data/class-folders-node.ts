import { constants } from 'node:buffer'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { UserError } from '../graph/errors.ts'
import { VERSION } from '../version.ts'
import { arrange } from './class-folders.ts'
import { type ClassSourceOptions, classSource, type Pictures } from './class-source.ts'
import type { ImageSource } from './dataset.ts'
import { readDigit } from './image-node.ts'
import { EMPTY_FILE, type Unreadable, whyUnreadable } from './unreadable.ts'
import { walk } from './walk-node.ts'

/** So many pictures take long enough for a line that says how far it is. */
const NOTE_EVERY = 5000

const PREPARED_BY = `onnxgrad ${VERSION}, sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}, ${process.platform} ${process.arch}`

/**
 * A user's own pictures: a folder of pictures for each class, `cat/1.jpg`, `dog/2.png`, of which a fifth of each class is held out to
 * test; or such folders in a folder per split (`train`, `val`, `test` or a synonym, in any case), where `test` (else held out as before)
 * and `val` may be missing. A class's pictures may lie in folders of its folder. Each is prepared as `readDigit` says, which
 * is what `onnxgrad predict` gives to a model.
 * @throws UserError that names all files which cannot be used, or says what is missing
 */
export async function classFolders(folder: string, options: ClassSourceOptions): Promise<ImageSource> {
  const { shape, log = () => {} } = options
  const [channels] = shape
  if (channels !== 1 && channels !== 3)
    throw new UserError(`${folder}: a picture has 1 or 3 channels, this model takes ${channels}`)
  const read = (paths: readonly string[], where: string) => decode(folder, paths, shape, where, log)
  const { files, folders, broken } = await walk(folder)
  const arranged = (skip: ReadonlySet<string>) =>
    arrange(
      folder,
      files.filter(path => !skip.has(path)),
      folders,
    )
  return classSource(folder, { arranged, broken }, { read, preparedBy: PREPARED_BY }, options)
}

/** Reads pictures in the order of their paths. */
async function decode(
  folder: string,
  paths: readonly string[],
  shape: readonly number[],
  where: string,
  log: (line: string) => void,
): Promise<Pictures> {
  const [channels, height, width] = shape as [number, number, number]
  const size = paths.length
  const pixels = channels * height * width
  const count = size.toLocaleString('en-US')
  if (size * pixels > constants.MAX_LENGTH)
    throw new UserError(
      `${where}: ${count} pictures of ${shape.join('×')} take more than the ${constants.MAX_LENGTH.toLocaleString('en-US')} bytes that one array can have; take smaller ones (--image)`,
    )
  const images = new Uint8Array(size * pixels)
  const unreadable: Unreadable[] = []
  if (size >= NOTE_EVERY) log(`reading ${count} pictures in ${where}`)
  let next = 0
  let done = 0
  const worker = async () => {
    while (next < size) {
      const at = next++
      const path = join(folder, paths[at]!)
      try {
        const { image } = await readDigit(path, { channels, height, width })
        image.forEach((v, i) => {
          images[at * pixels + i] = Math.round(v * 255)
        })
      } catch (error) {
        const why = whyUnreadable(error, path)
        const empty = await stat(path).then(
          ({ size }) => size === 0,
          () => false,
        )
        unreadable.push({ path: paths[at]!, why: empty ? EMPTY_FILE : why })
      }
      if (++done % NOTE_EVERY === 0 && done < size)
        log(`${done.toLocaleString('en-US')} of ${count} pictures are read`)
    }
  }
  // One at a time and thread: a decoded photograph takes a hundred times the memory of its pixels here.
  await Promise.all(Array.from({ length: Math.min(size, availableParallelism()) }, worker))
  return { images, unreadable }
}
