import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import { cacheFolder, DownloadCache, type Env } from './cache-node.ts'
import { COLLECTIONS, type Collection, FILE_NAMES, type FileName, type IdxFiles } from './collections.ts'
import { type ImageSource, imageSource, statistics } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { packagedDigits } from './digits-node.ts'
import { type Expected, type FetchOptions, fetchIdx, UnwritableError, verified } from './fetch-node.ts'
import { findEntry, reason } from './files-node.ts'
import { heldOut } from './held-out.ts'
import { idxDataset, idxPreprocessing, type NamedBytes } from './idx.ts'
import { readIdx } from './idx-node.ts'
import { MNIST_DIGIT } from './preprocess.ts'
import { LIMITS } from './watchdog-node.ts'

/** Sizes of the unpacked files, the same for all collections here: a header, and a byte per pixel or label. */
const BYTES: Readonly<Record<FileName, number>> = {
  'train-images-idx3-ubyte': 16 + 60_000 * 28 * 28,
  'train-labels-idx1-ubyte': 8 + 60_000,
  't10k-images-idx3-ubyte': 16 + 10_000 * 28 * 28,
  't10k-labels-idx1-ubyte': 8 + 10_000,
}

type Files = Readonly<Record<FileName, NamedBytes>>

/** Options of `mnist`. */
export interface MnistOptions extends Partial<FetchOptions> {
  /**
   * A folder with the four IDX files, gzip or raw; or a name. `mnist` or nothing means the search that `mnist` describes, `digits`
   * the 10,000 digits bundled with onnxgrad, any other name, such as `fashion-mnist`, means the cache folder, the files of a Debian package, or a
   * download.
   */
  readonly data?: string
  /**
   * Class names, which the files do not contain.
   * @default those of the known data set whose labels are in the files; else the ten digits
   */
  readonly classes?: readonly string[]
  /** Folder for downloads. @default `ONNXGRAD_CACHE`, `XDG_CACHE_HOME`, else the platform's custom */
  readonly cache?: string | undefined
  /** Default `process.env`. */
  readonly env?: Env
  /** Whether to work without downloads. */
  readonly offline?: boolean
  /** @internal Folder of the system's package with the files, for tests. @default the collection's */
  readonly system?: string
}

/**
 * MNIST, or a data set in the same four files, from the first of these: the folder `data`; the folder `ONNXGRAD_DATA` (each is used
 * or rejected, never skipped); the user's cache folder; the folder of a Debian package, if there is one; a download into the cache; the 10,000 digits bundled with onnxgrad, as `notice`
 * then says. Throws a `UserError` that names the file where a given folder cannot be used.
 */
export async function loadMnist(options: MnistOptions = {}): Promise<ImageSource> {
  const { data = 'mnist', env = process.env, classes } = options
  if (!isKey(COLLECTIONS, data)) return fromFolder(data, 'data folder', classes)
  const { title, idx }: Collection = COLLECTIONS[data]
  if (!idx) {
    const { notice, ...source } = await fromPackage('')
    return source
  }
  if (data === 'mnist' && env.ONNXGRAD_DATA) return fromFolder(env.ONNXGRAD_DATA, 'ONNXGRAD_DATA', classes)
  return fromCache(data, idx, options).catch(error => {
    if (data === 'mnist') return fromPackage(reason(error))
    throw new UserError(
      `${title} could not be downloaded (${reason(error)}); give a folder with its four files: --data DIR`,
    )
  })
}

async function fromFolder(folder: string, option: string, classes?: readonly string[]): Promise<ImageSource> {
  const entries = await readdir(folder).catch(error => {
    throw new UserError(`${option} ${folder}: ${reason(error)}`)
  })
  const files = await readAll(name => {
    const found = findEntry(entries, ...spellings(name))
    if (!found) throw new UserError(`${option} ${folder}: has no ${name} (or ${name}.gz)`)
    return readIdx(join(folder, found))
  })
  const location = resolve(folder)
  return { ...source('idx', files, classes ?? labelNames(files), `the folder ${folder}`), location }
}

const IDX = Object.values<Collection>(COLLECTIONS).flatMap(({ idx }) => idx ?? [])

/** What labels mean, by the content of their file: a folder may be called anything, and be moved. */
export function labelNames(
  files: Pick<Files, typeof TRAIN_LABELS>,
  known: readonly Named[] = IDX,
): readonly string[] {
  const hash = sha256(files[TRAIN_LABELS])
  return known.find(({ files }) => files[TRAIN_LABELS] === hash)?.classes ?? DIGITS
}

const TRAIN_LABELS = 'train-labels-idx1-ubyte'

interface Named {
  readonly classes: readonly string[]
  readonly files: Readonly<Record<typeof TRAIN_LABELS, string>>
}

const sha256 = ({ bytes }: NamedBytes): string => createHash('sha256').update(bytes).digest('hex')

/** Whether a folder with these files is meant to hold an IDX data set. */
export const holdsIdx = (entries: readonly string[]): boolean =>
  FILE_NAMES.some(name => findEntry(entries, ...spellings(name)) !== undefined)

/** What a file is called, here and there. */
function spellings(name: FileName): readonly string[] {
  const dotted = name.replace('-idx', '.idx')
  return [name, `${name}.gz`, dotted, `${dotted}.gz`]
}

/** The cache folder, whatever it turns out to be. */
const CACHE = ''

/**
 * A data set from the cache folder, the system's package or a download, each file from the first that has it with the right
 * checksum.
 * @throws Error with each mirror's reason
 */
export async function fromCache(
  name: string,
  { files: known, mirrors, classes, system: packaged }: IdxFiles,
  given: MnistOptions,
): Promise<ImageSource> {
  const { cache: own, env = process.env, offline, system = packaged, log = () => {}, ...web } = given
  const folder = cacheFolder({ ...env, ...(own ? { ONNXGRAD_CACHE: own } : {}) }, process.platform, name)
  const cache = new DownloadCache(folder, log)
  const options = { ...LIMITS, ...web, mirrors: offline ? [] : (web.mirrors ?? mirrors), log }
  const places = new Set<string>()
  const found = async (folder: string | undefined, file: FileName, expected: Expected, place: string) => {
    const had = folder && (await verified(join(folder, `${file}.gz`), expected))
    if (had) places.add(place)
    return had
  }
  try {
    const files = await readAll(async file => {
      const expected = { sha256: known[file], bytes: BYTES[file] }
      const had =
        (await found(cache.folder, file, expected, CACHE)) ||
        (await found(system, file, expected, `the folder ${system}`))
      if (had) return had
      places.add(CACHE)
      if (!options.mirrors.length) throw new Error('downloads are disabled')
      const download = async (to: string) => fetchIdx(`${file}.gz`, join(to, `${file}.gz`), expected, options)
      return await download(await cache.writable()).catch(async (error: unknown) => {
        if (!(error instanceof UnwritableError)) throw error
        return download(await cache.giveUp(`the cache folder cannot be used (${error.message})`))
      })
    })
    const kept = cache.isTemporary ? 'a download' : `the cache folder ${cache.folder}`
    const from = [...places].map(place => (place === CACHE ? kept : place)).join(' and ')
    return { ...source(name, files, classes, from), location: name }
  } finally {
    await cache.close()
  }
}

async function fromPackage(why: string): Promise<ImageSource> {
  const { train, test } = heldOut(await packagedDigits())
  return {
    train,
    test,
    normalization: statistics(train),
    preprocessing: MNIST_DIGIT,
    location: 'digits' satisfies keyof typeof COLLECTIONS,
    origin: 'the 10,000 MNIST digits bundled with onnxgrad: 8,000 for training, 2,000 held out',
    notice:
      `MNIST could not be downloaded (${why}). Training uses the 10,000 MNIST digits bundled with onnxgrad: ` +
      '8,000 for training, 2,000 held out. Accuracies are not comparable with those on the full 60,000 + 10,000 images. ' +
      'To use all of MNIST, give a folder with its four files: --data DIR or ONNXGRAD_DATA',
  }
}

/** One after the other: if the first cannot be fetched, the others are not tried. */
async function readAll(read: (name: FileName) => Promise<NamedBytes>): Promise<Files> {
  const files: [FileName, NamedBytes][] = []
  for (const name of FILE_NAMES) files.push([name, await read(name)])
  return Object.fromEntries(files) as Files
}

function source(name: string, files: Files, classes: readonly string[], from: string): ImageSource {
  const part = (kind: string, images: FileName, labels: FileName) =>
    idxDataset(`${name}/${kind}`, files[images], files[labels], classes)
  const train = part('train', 'train-images-idx3-ubyte', 'train-labels-idx1-ubyte')
  const test = part('test', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte')
  return imageSource(train, test, from, idxPreprocessing(train))
}
