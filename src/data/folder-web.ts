import { UserError } from '../graph/errors.ts'
import { VERSION } from '../version.ts'
import { arrange } from './class-folders.ts'
import { partOf } from './class-part.ts'
import type { SkipBad } from './class-plan.ts'
import { classSource, type Listing, type Pictures } from './class-source.ts'
import type { ImageSource } from './dataset.ts'
import { type ImageShape, readPicture } from './image-web.ts'
import { isSystemEntry } from './split-names.ts'
import { EMPTY_FILE, type Unreadable, whyUnreadable } from './unreadable.ts'

/** A picture and the class that it shows. */
export interface LabelledFile {
  readonly label: string
  readonly file: File
}

/** A file and its path from the data folder, with `/`. */
export interface PlacedFile {
  readonly path: string
  readonly file: File
}

/** What errors call files of which no folder is known. */
const FILES = 'the files'

/**
 * A user's own pictures as data: what `<input type="file" webkitdirectory>` gives, files with their paths, or pictures with their
 * labels. Paths are understood as `onnxgrad train` does: a folder of pictures per class, or such folders in a folder per split (`train`,
 * `val`, `test` or a synonym, in any case). Where there is no test split, a fifth of each class is held out. Each picture is
 * prepared as `readPicture` says.
 * @param shape what the model takes: `[channels, height, width]`
 * @throws UserError that names all pictures which cannot be read, or says what is missing
 */
export async function imageFolder(
  files: readonly (File | PlacedFile)[] | readonly LabelledFile[],
  shape: ImageShape,
  options: SkipBad = {},
): Promise<ImageSource> {
  const { where, listing, fileAt } = isLabelled(files) ? labelled(files) : placed(files)
  const [channels] = shape
  if (channels !== 1 && channels !== 3)
    throw new UserError(`${where}: a picture has 1 or 3 channels, this model takes ${channels}`)
  const read = (paths: readonly string[]) => decode(paths, fileAt, shape)
  const preparedBy = `onnxgrad ${VERSION}, ${navigator.userAgent}`
  return classSource(where, listing, { read, preparedBy }, { ...options, shape })
}

interface Found {
  readonly where: string
  readonly listing: Listing
  readonly fileAt: (path: string) => File
}

const isLabelled = (files: readonly (File | PlacedFile | LabelledFile)[]): files is readonly LabelledFile[] =>
  files[0] !== undefined && 'label' in files[0]

/** Every file that is not the system's is a picture of its label. */
function labelled(entries: readonly LabelledFile[]): Found {
  const files = new Map<string, File>()
  const labels = new Map<string, string[]>()
  for (const { label, file } of entries) {
    if (isSystemEntry(file.name)) continue
    let path = `${label}/${file.name}`
    for (let i = 2; files.has(path); i++) path = `${label}/${file.name} (${i})`
    files.set(path, file)
    labels.set(label, [...(labels.get(label) ?? []), path])
  }
  const arranged = (skip: ReadonlySet<string>) => {
    const folders = [...labels].map(([name, paths]) => ({
      name,
      path: name,
      pictures: paths.filter(path => !skip.has(path)),
    }))
    return { parts: { train: partOf(FILES, folders) }, others: [] }
  }
  return { where: FILES, listing: { arranged, broken: [] }, fileAt: path => files.get(path)! }
}

function placed(entries: readonly (File | PlacedFile)[]): Found {
  const [first] = entries
  const where = (first && !('path' in first) && first.webkitRelativePath.split('/')[0]) || FILES
  const files = new Map(
    entries
      .map(entry =>
        'path' in entry ? ([entry.path, entry.file] as const) : ([placeOf(entry), entry] as const),
      )
      .filter(([path]) => !path.split('/').some(isSystemEntry)),
  )
  const folders = new Set([...files.keys()].flatMap(foldersOf))
  const arranged = (skip: ReadonlySet<string>) =>
    arrange(
      where,
      [...files.keys()].filter(path => !skip.has(path)),
      [...folders],
    )
  return { where, listing: { arranged, broken: [] }, fileAt: path => files.get(path)! }
}

/** `a` and `a/b` of `a/b/c.png`. */
function foldersOf(path: string): string[] {
  const names = path.split('/').slice(0, -1)
  return names.map((_, i) => names.slice(0, i + 1).join('/'))
}

/** The path in the chosen folder, whose name comes first. */
function placeOf({ name, webkitRelativePath }: File): string {
  const path = webkitRelativePath.split('/').slice(1).join('/')
  if (!path)
    throw new UserError(`${name}: is not in a folder that says its class; choose a folder of folders`)
  return path
}

async function decode(
  paths: readonly string[],
  fileAt: (path: string) => File,
  shape: ImageShape,
): Promise<Pictures> {
  const pixels = shape.reduce((a, b) => a * b, 1)
  const images = new Uint8Array(paths.length * pixels)
  const unreadable: Unreadable[] = []
  // One after the other: a decoded photograph takes a hundred times the memory of its pixels here.
  for (const [i, path] of paths.entries())
    try {
      images.set(await readPicture(fileAt(path), path, shape), i * pixels)
    } catch (error) {
      const why = whyUnreadable(error, path)
      unreadable.push({ path, why: fileAt(path).size ? why : EMPTY_FILE })
    }
  return { images, unreadable }
}
