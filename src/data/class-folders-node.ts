import { constants } from 'node:buffer'
import { readdir, realpath, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, extname, join, relative, resolve } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { permutation } from './batches.ts'
import { type ImageDataset, type ImageSource, imageSource, labelsFor } from './dataset.ts'
import { reason } from './files-node.ts'
import { heldOut } from './held-out.ts'
import { readPixels } from './image-node.ts'
import { preprocess } from './preprocess.ts'
import { type FollowOptions, type Target, targetOf } from './survey-node.ts'

/** What sharp reads of the pictures that people have. */
const PICTURES = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'avif', 'tif', 'tiff']
const isPicture = (file: string): boolean => PICTURES.includes(extname(file).slice(1).toLowerCase())

/** Systems put files of their own into folders. */
const isHidden = (name: string): boolean => /^(\.|Thumbs\.db$|desktop\.ini$)/i.test(name)

/** So many pictures take long enough for a line that says how far it is. */
const NOTE_EVERY = 5000

export interface ClassFolderOptions extends FollowOptions {
  /** Classes that a model knows already, in its order; left out, the names of the folders in code-unit order. */
  readonly classes?: readonly string[]
}

/** The pictures of one part of the data, by the name of their class's folder, and what else lies there. */
interface Part {
  readonly folder: string
  readonly pictures: ReadonlyMap<string, readonly string[]>
  readonly others: readonly string[]
}

/**
 * A user's own pictures: a folder of pictures for each class, `cat/1.jpg`, `dog/2.png`, of which a fifth of each class is held out to
 * test; or such folders in `train`, `test` and `val`, where `test` (else held out as before) and `val` may be missing. A
 * class's pictures may lie in folders of its folder. Each is prepared by the {@link Preprocessing} that the options name.
 * @throws UserError that names the file which cannot be used, or says what is missing
 */
export async function classFolders(folder: string, options: ClassFolderOptions): Promise<ImageSource> {
  const { log = () => {} } = options
  const names = await subfolders(folder)
  const split = names.includes('train') && (await subfolders(join(folder, 'train'))).length > 0
  const root = await listed(split ? join(folder, 'train') : folder)
  const classes = options.classes ?? [...root.pictures.keys()]
  if (classes.length < 2)
    throw new UserError(
      `${root.folder}: holds pictures of ${classes.length} class${classes.length ? `, ${classes[0]}` : 'es'}; give a folder that has a folder of pictures for each of two classes or more`,
    )
  for (const [name, files] of root.pictures)
    if (!files.length)
      throw new UserError(
        `${join(root.folder, name)}: has no pictures (${PICTURES.join(', ')}); put some there or remove the folder`,
      )
  const part = async (name: string) =>
    split && names.includes(name) ? listed(join(folder, name)) : undefined
  const [test, val] = [await part('test'), await part('val')]
  const parts = [root, test, val].filter(p => p !== undefined)
  for (const p of parts) checkClasses(p, classes)

  const name = basename(resolve(folder))
  const training = inOrder(root, classes).map(picture => picture.path)
  const all = [training, ...parts.slice(1).map(p => [...p.pictures.values()].flat())].flat()
  const target = await targetOf(all, training, options)
  const read = (p: Part, kind: string) => decode(p, `${name}/${kind}`, classes, target, log)
  const train = await read(root, 'train')
  const sets = test ? { train, test: await read(test, 'test') } : heldOut({ ...train, name })
  const known = split ? ['train', 'test', 'val'] : names
  const unread = names.filter(n => !known.includes(n)).map(n => join(folder, n))
  const left = [...unread, ...parts.flatMap(p => p.others)].map(path => relative(folder, path))
  return {
    ...imageSource(
      sets.train,
      sets.test,
      `${classes.length} classes in the folder ${folder}`,
      target.preprocessing,
    ),
    fromPictures: true,
    ...(val ? { val: await read(val, 'val') } : {}),
    ...(left.length ? { notice: leftOut(left) } : {}),
  }
}

function leftOut(paths: readonly string[]): string {
  const [many, more] = [paths.length, paths.length - 3].map(n => n.toLocaleString('en-US'))
  const some = paths.slice(0, 3).join(', ') + (paths.length > 3 ? ` and ${more} more` : '')
  return `Left out, being no pictures (${PICTURES.join(', ')}) in the folder of a class: ${many}, ${some}`
}

interface Entry {
  readonly name: string
  readonly path: string
  /** Through links, too. */
  readonly isFolder: boolean
}

/** What is in a folder and not hidden, in code-unit order. */
async function entries(folder: string): Promise<Entry[]> {
  const problem = (path: string) => (error: unknown) => {
    throw new UserError(`${path}: ${reason(error)}`)
  }
  const found: Entry[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(problem(folder))) {
    const { name } = entry
    const path = join(folder, name)
    if (isHidden(name)) continue
    const kind = entry.isSymbolicLink() ? await stat(path).catch(problem(path)) : entry
    found.push({ name, path, isFolder: kind.isDirectory() })
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

const subfolders = async (folder: string): Promise<string[]> =>
  (await entries(folder)).filter(e => e.isFolder).map(e => e.name)

async function listed(folder: string): Promise<Part> {
  const pictures = new Map<string, string[]>()
  const others: string[] = []
  const above = [await realpath(folder)]
  for (const { name, path, isFolder } of await entries(folder)) {
    if (!isFolder) {
      others.push(path)
      continue
    }
    const files: string[] = []
    for await (const file of filesIn(path, above)) (isPicture(file) ? files : others).push(file)
    pictures.set(name, files)
  }
  return { folder, pictures, others }
}

/** All files of a folder and of the folders in it. @param above the real paths of the folders that it lies in */
async function* filesIn(folder: string, above: readonly string[]): AsyncGenerator<string> {
  const real = await realpath(folder)
  if (above.includes(real))
    throw new UserError(`${folder}: leads back to ${real}, in which it lies; remove the link`)
  for (const { path, isFolder } of await entries(folder)) {
    if (isFolder) yield* filesIn(path, [...above, real])
    else yield path
  }
}

function checkClasses({ folder, pictures }: Part, classes: readonly string[]): void {
  for (const name of pictures.keys())
    if (!classes.includes(name))
      throw new UserError(
        `${join(folder, name)}: is no class that is trained; those are ${classes.slice(0, 10).join(', ')}${classes.length > 10 ? ', …' : ''}`,
      )
}

/** All pictures of a part, in an order in which the classes are mixed and which is always the same. */
function inOrder({ pictures }: Part, classes: readonly string[]) {
  const sorted = classes.flatMap((c, label) => (pictures.get(c) ?? []).map(path => ({ path, label })))
  return Array.from(permutation(sorted.length, 0, 0), i => sorted[i]!)
}

/** Reads all pictures of a part. */
async function decode(
  part: Part,
  name: string,
  classes: readonly string[],
  { shape, preprocessing }: Target,
  log: (line: string) => void,
): Promise<ImageDataset> {
  const { folder } = part
  const order = inOrder(part, classes)
  const size = order.length
  if (!size)
    throw new UserError(`${folder}: has no pictures (${PICTURES.join(', ')}) in the folders of classes`)
  const pixels = shape.reduce((a, b) => a * b, 1)
  if (size * pixels > constants.MAX_LENGTH)
    throw new UserError(
      `${folder}: ${size.toLocaleString('en-US')} pictures of ${shape.join('×')} take more than the ${constants.MAX_LENGTH.toLocaleString('en-US')} bytes that one array can have; take smaller ones (--image)`,
    )
  const images = new Uint8Array(size * pixels)
  const labels = labelsFor(classes, size)
  const count = size.toLocaleString('en-US')
  if (size >= NOTE_EVERY) log(`reading ${count} pictures in ${folder}`)
  let next = 0
  let done = 0
  const worker = async () => {
    while (next < size) {
      const at = next++
      const { path, label } = order[at]!
      const picture = await readPixels(path).catch(error => {
        next = size
        throw error instanceof UserError
          ? new UserError(`${error.message}; repair the file or take it out of the folder`)
          : error
      })
      labels[at] = label
      images.set(preprocess(picture, preprocessing, shape).image, at * pixels)
      if (++done % NOTE_EVERY === 0 && done < size)
        log(`${done.toLocaleString('en-US')} of ${count} pictures are read`)
    }
  }
  // One at a time and thread: a decoded photograph takes a hundred times the memory of its pixels here.
  await Promise.all(Array.from({ length: Math.min(size, availableParallelism()) }, worker))
  return { name, size, shape, classes, images, labels }
}
