import { UserError } from '../graph/errors.ts'
import { listed } from './notice.ts'
import { splitNamed } from './split-names.ts'

/** The pictures of one split: paths from the data folder, by class. */
export interface SplitPictures {
  /** Its folder's name in error messages. */
  readonly where: string
  /** By the class's name in Unicode's composed form (NFC), in code-unit order; none of them is empty. */
  readonly pictures: ReadonlyMap<string, readonly string[]>
  /** Class folders without pictures. */
  readonly empty: readonly string[]
}

/** A folder of a class, and the pictures in it and its folders. */
export interface ClassFolder {
  readonly name: string
  readonly path: string
  readonly pictures: readonly string[]
}

/** @throws UserError when two folders have the same name in different Unicode forms, or a class holds splits */
export function picturesOf(where: string, folders: readonly ClassFolder[]): SplitPictures {
  const pictures = new Map<string, readonly string[]>()
  const composed = folders.map(folder => ({ ...folder, name: folder.name.normalize('NFC') }))
  for (const folder of composed.sort(inOrderOf(f => f.name))) {
    const { name } = folder
    if (pictures.has(name))
      throw new UserError(`${where}: has two folders named ${name} in different Unicode forms; merge them`)
    refuseSplits(where, folder, folders.filter(f => f.pictures.length).length === 1)
    pictures.set(name, [...folder.pictures].sort(inOrderOf(byFolders)))
  }
  const empty = [...pictures].filter(([, paths]) => !paths.length).map(([name]) => name)
  for (const name of empty) pictures.delete(name)
  return { where, pictures, empty }
}

/** Puts `a/b` before `a-1`, as walking through the folders would. */
const byFolders = (path: string): string => path.replaceAll('/', '\0')

const inOrderOf =
  <T>(key: (value: T) => string) =>
  (a: T, b: T): number =>
    key(a) < key(b) ? -1 : 1

/** @throws UserError for `cat/train/1.jpg` and `cat/test/2.jpg`, all of which would be trained on */
function refuseSplits(where: string, { name, path, pictures }: ClassFolder, only: boolean): void {
  const within = pictures.map(file => file.slice(path.length + 1).split('/'))
  const inner = [
    ...new Set(within.flatMap(([first, ...rest]) => (first !== undefined && rest.length ? [first] : []))),
  ]
  const named = inner.filter(splitNamed)
  const splits = new Set(named.map(splitNamed))
  if (!splits.has('train') || splits.size < 2) return
  const remedy = only
    ? `give ${where}/${name}`
    : `put the splits at the top and a folder per class into each, such as ${named[0]}/${name}`
  throw new UserError(
    `${where}/${name}: holds splits (${listed(named, 5)}) where a class folder is expected; ${remedy}`,
  )
}

/** The classes to train on. @throws UserError when there are fewer than two */
export function trainedClasses({ where, pictures }: SplitPictures): readonly string[] {
  const classes = [...pictures.keys()]
  if (classes.length > 1) return classes
  const [only] = classes
  throw new UserError(
    `${where}: holds pictures of ${only === undefined ? 'no class' : `1 class, ${only}`}; give a folder with one subfolder of pictures per class, for at least two classes`,
  )
}

/**
 * @param known the classes of the model
 * @throws UserError naming all classes unknown to the model
 */
export function checkKnown({ where, pictures }: SplitPictures, known: readonly string[]): void {
  const extra = [...pictures.keys()].filter(name => !known.includes(name))
  if (!extra.length) return
  const alike = (name: string) => known.find(other => other.toLowerCase() === name.toLowerCase())
  const spelled = extra.map(name => (alike(name) ? `${name} (meant to be ${alike(name)}?)` : name))
  throw new UserError(
    `${where}: has folders for unknown classes: ${listed(spelled)}; the known classes are ${listed(known)}`,
  )
}

/** @throws UserError naming all trained classes without a folder in a test or validation set */
export function checkComplete({ where, pictures, empty }: SplitPictures, trained: readonly string[]): void {
  const missing = trained.filter(name => !pictures.has(name) && !empty.includes(name))
  if (!missing.length) return
  throw new UserError(
    `${where}: has no folder for ${missing.length} of ${trained.length} classes: ${listed(missing)}; add their pictures, or an empty folder for a class without pictures`,
  )
}
