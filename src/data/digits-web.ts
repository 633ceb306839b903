import { type ImageSource, imageSource } from './dataset.ts'
import { DIGITS_FILE, unpackDigits } from './digits.ts'
import { fetchBytes } from './fetch-web.ts'
import { heldOut } from './held-out.ts'
import { MNIST_DIGIT } from './preprocess.ts'

/**
 * The 10,000 digits bundled with onnxgrad, from the file `digits.bin` of the package: 8,000 to train and 2,000 held out, the same
 * as Node has without MNIST. All are from MNIST's training set.
 * @throws UserError when the file cannot be fetched or is damaged
 */
export async function digits(url: string | URL): Promise<ImageSource> {
  const bytes = await fetchBytes(url, `the digits are in ${DIGITS_FILE} of the onnxgrad package`)
  const { train, test } = heldOut(unpackDigits({ name: String(url), bytes }))
  return imageSource(train, test, 'the 10,000 digits bundled with onnxgrad', MNIST_DIGIT)
}
