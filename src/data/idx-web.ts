import { UserError } from '../graph/errors.ts'
import type { ImageSource } from './dataset.ts'
import { DIGITS } from './digit.ts'
import { idxBytes, type NamedBytes } from './idx.ts'
import { idxSource } from './idx-source.ts'
import { unpacked } from './unpack-web.ts'

/** Larger files are refused before they are read. */
const MAX_BYTES = 2 ** 30

/**
 * Images in MNIST's IDX files, plain or gzip, as a user chooses or drops them: images and labels to train, and images and labels to
 * test, whose names contain `t10k` or `test`. Of images and labels alone, a fifth is held out to test.
 * @param classes name of each label. @default the ten digits
 * @throws UserError naming the file that is missing, damaged or does not match the others
 */
export async function idxData(
  files: readonly File[],
  classes: readonly string[] = DIGITS,
): Promise<ImageSource> {
  return idxSource(await Promise.all(files.map(readIdxFile)), classes)
}

async function readIdxFile(file: File): Promise<NamedBytes> {
  const { name, size } = file
  if (size > MAX_BYTES)
    throw new UserError(`${name}: has ${size} bytes; too large for an IDX file of this kind`)
  const bytes = await file.arrayBuffer().catch(() => {
    throw new UserError(`${name}: the browser cannot read it; choose it again`)
  })
  return unpacked({ name, bytes: new Uint8Array(bytes) }, idxBytes)
}
