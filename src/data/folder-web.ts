import { UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import { VERSION } from '../version.ts'
import { arrange } from './class-folders.ts'
import { picturesOf } from './class-part.ts'
import type { SkipBad } from './class-plan.ts'
import { classSource, type Listing, type Pictures } from './class-source.ts'
import type { ImageSource } from './dataset.ts'
import { type Ink, inkOf, mostOf } from './digit.ts'
import { pixelsOf } from './image-web.ts'
import {
  grayscale,
  type ImageShape,
  imageShape,
  type Preprocessing,
  type PreprocessingKind,
  preprocess,
  RESIZE,
  type Target,
} from './preprocess.ts'
import type { Pixels } from './resample.ts'
import { isSystemEntry } from './split-names.ts'
import { EMPTY_FILE, type Unreadable, whyUnreadable } from './unreadable.ts'

/** Drawings that are looked at to see what ink a data set has. */
const DRAWINGS = 256

/** A picture and the class that it shows. */
export interface LabelledFile {
  /** Name of the class. */
  readonly label: string
  /** A picture. */
  readonly file: File
}

/** A file and its path from the data folder, with `/`. */
export interface PlacedFile {
  /** Such as `train/cat/1.png`. */
  readonly path: string
  /** A picture. */
  readonly file: File
}

/** Options of `imageFolder`. */
export interface ImageFolderOptions extends SkipBad {
  /** How each picture is preprocessed; unless given, the ink of digits is that of most of them. @default { kind: 'resize' } */
  readonly preprocessing?: { readonly kind: PreprocessingKind } | Preprocessing | undefined
}

/** The name of files without a known folder in error messages. */
const FILES = 'the files'

/**
 * Your own pictures as data: what `<input type="file" webkitdirectory>` gives, files with paths, or pictures with labels. Paths are
 * interpreted as by `onnxgrad train`: a folder of pictures per class, or such folders in a folder per split (`train`, `val`, `test`
 * or a synonym, in any case). Without a test split, a fifth of each class is held out.
 * @param shape what the model takes: `[channels, height, width]`
 * @throws UserError naming all unreadable pictures, or saying what is missing
 */
export async function imageFolder(
  files: readonly (File | PlacedFile)[] | readonly LabelledFile[],
  shape: ImageShape,
  { preprocessing = RESIZE, ...options }: ImageFolderOptions = {},
): Promise<ImageSource> {
  const { where, listing, fileAt } = isLabelled(files) ? labelled(files) : placed(files)
  const wanted = imageShape(shape, where)
  const pixels = (path: string) => pixelsOf(fileAt(path), path)
  const target = async (_: readonly string[], training: readonly string[]): Promise<Target> => ({
    shape: wanted,
    preprocessing: await settled(preprocessing, training, pixels),
  })
  const read = (paths: readonly string[], _: string, target: Target) => decode(paths, fileAt, target)
  const preparedBy = `onnxgrad ${VERSION}, ${navigator.userAgent}`
  return classSource(where, listing, { target, read, preparedBy }, options)
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
    return { parts: { train: picturesOf(FILES, folders) }, others: [] }
  }
  return { where: FILES, listing: { arranged, broken: [] }, fileAt: path => lookup(files, path) }
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
  return { where, listing: { arranged, broken: [] }, fileAt: path => lookup(files, path) }
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
    throw new UserError(`${name}: is not in a class folder; choose a folder with one subfolder per class`)
  return path
}

/** With the ink that most drawings have, where it is not known. Files that cannot be read are passed over: `decode` reports them. */
async function settled(
  asked: { readonly kind: PreprocessingKind } | Preprocessing,
  training: readonly string[],
  pixels: (path: string) => Promise<Pixels>,
): Promise<Preprocessing> {
  if (asked.kind !== 'digit') return { kind: asked.kind }
  if ('ink' in asked) return asked
  const inks: (Ink | undefined)[] = []
  for (const path of training.slice(0, DRAWINGS))
    try {
      inks.push(inkOf(grayscale(await pixels(path))))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
    }
  return { kind: 'digit', ink: mostOf(inks) }
}

async function decode(
  paths: readonly string[],
  fileAt: (path: string) => File,
  { shape, preprocessing }: Target,
): Promise<Pictures> {
  const pixels = shape.reduce((a, b) => a * b, 1)
  const images = new Uint8Array(paths.length * pixels)
  const unreadable: Unreadable[] = []
  // One after the other: a decoded photograph takes a hundred times the memory of its pixels here.
  for (const [i, path] of paths.entries())
    try {
      const picture = await pixelsOf(fileAt(path), path)
      images.set(preprocess(picture, preprocessing, shape).image, i * pixels)
    } catch (error) {
      const why = whyUnreadable(error, path)
      unreadable.push({ path, why: fileAt(path).size ? why : EMPTY_FILE })
    }
  return { images, unreadable }
}
