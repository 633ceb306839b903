import { join } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { present } from '../graph/present.ts'
import { CIFAR, type CifarFormat, cifarClasses, cifarDataset } from './cifar.ts'
import { type ImageSource, imageSource } from './dataset.ts'
import { findEntry, readBytes } from './files-node.ts'
import type { NamedBytes } from './idx.ts'
import { RESIZE } from './preprocess.ts'

/** The format that a folder with these files is of. */
export const cifarFormat = (entries: readonly string[]): CifarFormat | undefined =>
  CIFAR.find(({ train, test }) => [...train, test].some(file => findEntry(entries, file)))

/**
 * The binary version of CIFAR-10 or CIFAR-100 in a folder.
 * @throws UserError naming the file that is missing or damaged
 */
export async function cifarFolder(
  folder: string,
  entries: readonly string[],
  format: CifarFormat,
): Promise<ImageSource> {
  const { name, train, test, names } = format
  for (const file of [...train, test, names])
    if (!findEntry(entries, file))
      throw new UserError(`${folder}: has files of ${name} (binary version) but no ${file}`)
  const read = async (file: string): Promise<NamedBytes> => {
    const path = join(folder, present(findEntry(entries, file), file))
    return { name: path, bytes: await readBytes(path) }
  }
  const classes = cifarClasses(await read(names), format)
  const part = async (kind: string, files: readonly string[]) =>
    cifarDataset(`${name}/${kind}`, await Promise.all(files.map(read)), classes, format)
  return imageSource(await part('train', train), await part('test', [test]), `the folder ${folder}`, RESIZE)
}
