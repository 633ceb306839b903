import { UserError } from '../graph/errors.ts'
import { nth, present } from '../graph/present.ts'
import { type ClassFolder, picturesOf, type SplitPictures } from './class-part.ts'
import { listed } from './notice.ts'
import { SPLITS, type Split, splitNamed } from './split-names.ts'

/** What programs here read. */
const READABLE = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'avif', 'tif', 'tiff']
/** Also pictures, by their names: one that cannot be read is refused by its name, rather than taken for something else. */
const OTHERS = 'jfif jpe bmp heic heif jxl jp2 ppm pgm pbm pnm tga psd ico svg'.split(' ')
const EXTENSIONS = new Set([...READABLE, ...OTHERS])

/** The kinds of pictures, in words. */
export const KINDS = READABLE.join(', ')

const afterLast = (separator: string, text: string): string => text.slice(text.lastIndexOf(separator) + 1)

/** Whether a file is a picture by its name. */
export const isPicture = (path: string): boolean => EXTENSIONS.has(afterLast('.', path).toLowerCase())

export type Parts = Readonly<Partial<Record<Split, SplitPictures>>> & { readonly train: SplitPictures }

export interface Arranged {
  readonly parts: Parts
  /** Files that are not pictures in the folder of a class, and folders that are not part of the data. */
  readonly others: readonly string[]
}

/** A folder at the top of the data: its own pictures, and those of the folders in it. */
interface Top {
  readonly name: string
  readonly own: string[]
  readonly inner: Map<string, string[]>
}

/**
 * Finds classes and splits in the paths of a data folder, which holds a folder of pictures per class (`cat/1.jpg`, `dog/2.png`), or
 * such folders in a folder per split (`Train/cat/1.jpg`, `testing/cat/2.jpg`). Content decides: a split holds folders of pictures,
 * a class holds pictures, so that a class may be called `train`.
 * @param where the data folder's name in error messages
 * @param files paths from the data folder, with `/`; no system files
 * @param folders paths of folders that are known to be there, whatever is in them
 * @throws UserError when splits and classes are mixed, two folders are the same split, or there is none to train on
 */
export function arrange(where: string, files: readonly string[], folders: readonly string[] = []): Arranged {
  const tops = new Map<string, Top>()
  const listOf = (parts: readonly string[]): string[] => {
    const [name, inner] = [nth(parts, 0), parts[1]]
    const top = tops.get(name) ?? { name, own: [], inner: new Map() }
    tops.set(name, top)
    if (inner === undefined) return top.own
    const list = top.inner.get(inner) ?? []
    top.inner.set(inner, list)
    return list
  }
  for (const path of folders) listOf(path.split('/'))
  const others: string[] = []
  for (const path of files) {
    const above = path.split('/').slice(0, -1)
    const list = above.length ? listOf(above) : others
    ;(isPicture(path) ? list : others).push(path)
  }
  const all = [...tops.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  const splits = splitsOf(where, all)
  if (!splits) return { parts: { train: picturesOf(where, all.map(classOf)) }, others: others.sort() }
  const parts = SPLITS.flatMap(split => {
    const top = splits.get(split)
    return top ? [[split, picturesOf(`${where}/${top.name}`, classesIn(top))] as const] : []
  })
  const used = [...splits.values()]
  const unused = all.filter(top => !used.includes(top)).map(top => top.name)
  const counted = others.filter(
    path => !path.includes('/') || !unused.some(name => path.startsWith(`${name}/`)),
  )
  return { parts: Object.fromEntries(parts) as Parts, others: [...counted, ...unused].sort() }
}

const deeper = ({ inner }: Top): string[] => [...inner.values()].flat()

const classOf = (top: Top): ClassFolder => ({
  name: top.name,
  path: top.name,
  pictures: [...top.own, ...deeper(top)],
})

const classesIn = (top: Top): ClassFolder[] =>
  [...top.inner].map(([name, pictures]) => ({ name, path: `${top.name}/${name}`, pictures }))

/** The folder of each split; undefined where the folders at the top are classes. @throws UserError */
function splitsOf(where: string, all: readonly Top[]): ReadonlyMap<Split, Top> | undefined {
  const named = all.filter(top => splitNamed(top.name))
  const splits = named.filter(top => deeper(top).length)
  for (const top of splits)
    if (top.own.length)
      throw new UserError(
        `${where}/${top.name}: holds pictures (${baseNames(top.own)}) beside folders of pictures (${names(classesIn(top))}): a split holds a folder per class, a class holds pictures; move one of them away`,
      )
  const classes = all.filter(top => !splits.includes(top) && classOf(top).pictures.length)
  if (!splits.length) {
    refuseLoose(where, classes)
    return undefined
  }
  if (classes.length)
    throw new UserError(
      `${where}: mixes splits (${names(splits)}) with other folders of pictures (${names(classes)}); put a folder per class into each split, rename the splits if they are classes, or move the other folders away`,
    )
  const found = new Map<Split, Top>()
  for (const top of named) {
    const split = present(splitNamed(top.name), 'split')
    const same = found.get(split)
    if (same)
      throw new UserError(
        `${where}: ${same.name} and ${top.name} are both the ${split} split; merge them, or move one away`,
      )
    if (!deeper(top).length)
      throw new UserError(
        `${where}/${top.name}: has no pictures (${KINDS}) in its class folders; add some or remove the folder`,
      )
    found.set(split, top)
  }
  if (!found.has('train')) throw new UserError(`${where}: has ${names(splits)} but no folder train`)
  return found
}

/** @throws UserError for `train/1.jpg` and `test/2.jpg`, which are no classes; beside others, one of them may be */
function refuseLoose(where: string, classes: readonly Top[]): void {
  const loose = classes.filter(top => splitNamed(top.name))
  if (!loose.length || (loose.length === 1 && classes.length > 1)) return
  const [are, hold] =
    loose.length > 1 ? ['are splits by their names', 'hold'] : ['is a split by its name', 'holds']
  throw new UserError(
    `${where}: ${names(loose)} ${are}, but ${hold} pictures without classes; put the pictures of each class into their own folder, such as ${nth(loose, 0).name}/cat`,
  )
}

const names = (list: readonly { readonly name: string }[]): string =>
  listed(
    list.map(({ name }) => name),
    5,
  )

const baseNames = (paths: readonly string[]): string =>
  listed(
    paths.map(path => afterLast('/', path)),
    3,
  )
