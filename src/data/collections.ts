import { DIGITS } from './digit.ts'

export const FILE_NAMES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const
export type FileName = (typeof FILE_NAMES)[number]

/** Four IDX files on the web: 60,000 and 10,000 images of 28 × 28 pixels. */
export interface IdxFiles {
  readonly classes: readonly string[]
  /** SHA-256 of each file's uncompressed bytes. */
  readonly files: Readonly<Record<FileName, string>>
  readonly mirrors: readonly string[]
  /** Folder in which a package of the system puts the files, as `.gz`. */
  readonly system?: string
}

/** A data set known by its name. */
export interface Collection {
  readonly title: string
  /** Shown beside its name in lists. */
  readonly about?: string
  /** Where it is downloaded from; missing for the digits bundled with onnxgrad. */
  readonly idx?: IdxFiles
}

const mnist: IdxFiles = {
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
const fashionMnist: IdxFiles = {
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
  // Debian's package dataset-fashion-mnist.
  system: '/usr/share/datasets/fashion-mnist',
}

/** Data sets that have a name. */
export const COLLECTIONS = {
  mnist: { title: 'MNIST', idx: mnist },
  'fashion-mnist': { title: 'Fashion-MNIST', idx: fashionMnist },
  digits: { title: 'Digits', about: '10,000 MNIST digits bundled with onnxgrad' },
} satisfies Readonly<Record<string, Collection>>
