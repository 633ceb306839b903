import { classFolders } from './class-folders-node.ts'
import type { SkipBad } from './class-plan.ts'
import { type ImageSource, imageSource } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { unpackDigits } from './digits.ts'
import { packagedDigits } from './digits-node.ts'
import { type FileSource, pathOf } from './file-source-node.ts'
import { readBytes } from './files-node.ts'
import { heldOut } from './held-out.ts'
import { readIdx } from './idx-node.ts'
import { idxSource } from './idx-source.ts'
import { readPixels } from './image-node.ts'
import {
  type ImageShape,
  imageShape,
  MNIST_DIGIT,
  type Preprocessing,
  type PreprocessingKind,
  preprocessInked,
  RESIZE,
} from './preprocess.ts'

// The loaders that pages have too (digits-web.ts, idx-web.ts, folder-web.ts, image-web.ts), for files on disk.

/**
 * The 10,000 digits bundled with onnxgrad: 8,000 to train and 2,000 held out. All are from MNIST's training set.
 * @param file the package's file `digits.bin`. @default where the package has it
 * @throws UserError when the file cannot be read or is damaged
 */
export async function digits(file?: FileSource): Promise<ImageSource> {
  const { train, test } = heldOut(file === undefined ? await packagedDigits() : await digitsIn(pathOf(file)))
  return imageSource(train, test, 'the 10,000 digits bundled with onnxgrad', MNIST_DIGIT)
}

const digitsIn = async (path: string) => unpackDigits({ name: path, bytes: await readBytes(path) })

/**
 * Images in MNIST's IDX files, plain or gzip: images and labels to train, and images and labels to test, whose names contain `t10k`
 * or `test`. Of images and labels alone, a fifth is held out to test.
 * @param files paths of two or four files
 * @param classes name of each label. @default the ten digits
 * @throws UserError naming the file that is missing, damaged or does not match the others
 */
export async function idxData(
  files: readonly FileSource[],
  classes: readonly string[] = DIGITS,
): Promise<ImageSource> {
  return idxSource(await Promise.all(files.map(file => readIdx(pathOf(file)))), classes)
}

/** Options of `imageFolder`. */
export interface ImageFolderOptions extends SkipBad {
  /** How each picture is preprocessed; unless given, the ink of digits is that of most of them. @default { kind: 'resize' } */
  readonly preprocessing?: { readonly kind: PreprocessingKind } | Preprocessing | undefined
}

/**
 * A folder of pictures per class, or such folders in a folder per split (`train`, `val`, `test` or a synonym, in any case). Without
 * a test split, a fifth of each class is held out.
 * @param shape what the model takes: `[channels, height, width]`
 * @throws UserError naming all unreadable pictures, or saying what is missing
 */
export async function imageFolder(
  folder: FileSource,
  shape: ImageShape,
  { preprocessing = RESIZE, ...options }: ImageFolderOptions = {},
): Promise<ImageSource> {
  const path = pathOf(folder)
  return classFolders(path, { ...options, shape: imageShape(shape, path), preprocessing })
}

/** A file with a picture: PNG, JPEG, WebP, GIF, TIFF or AVIF. */
export type Picture = FileSource

/**
 * A picture as a model's input: `[channels, height, width]`, values 0 … 255, the same as `onnxgrad predict` makes.
 * @param name its name in error messages
 * @param shape what the model takes
 * @param preprocessing how the model's pictures are preprocessed. @default { kind: 'resize' }
 * @throws UserError when it is not a picture, is too large, or is a blank drawing where a digit is expected
 */
export async function readPicture(
  picture: Picture,
  name: string,
  shape: ImageShape,
  preprocessing: Preprocessing = RESIZE,
): Promise<Uint8Array> {
  const wanted = imageShape(shape, name)
  return preprocessInked(name, await readPixels(pathOf(picture)), preprocessing, wanted).image
}
