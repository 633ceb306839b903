import { readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { MAX_BYTES, reason } from './files-node.ts'

/**
 * Gives the files that stand beside a model, by their names: what a model may read that keeps its tensors in other files. A
 * link counts by where it leads, for caches of downloads keep a model and its data in one folder, and links to them in another.
 * @param model path of the `.onnx` file, which must be there when the first of them is read
 * @returns a function that throws a UserError for a file that is not there, not a regular file, over 2 GB, or a link out of the
 * model's folder
 */
export function filesBeside(model: string): (name: string) => Uint8Array {
  return name => {
    const path = join(dirname(model), name)
    const [folder, stored, file] = [real(dirname(model)), dirname(real(model)), real(path)]
    if (![folder, stored].includes(dirname(file)))
      throw new UserError(`${path} is a link that leaves the folder of ${model}; it is not read`)
    return at(path, () => {
      const found = statSync(file)
      // A device has no end, and a pipe may have nothing.
      if (!found.isFile()) throw new UserError(`${path} is not a file`)
      if (found.size > MAX_BYTES)
        throw new UserError(`${path} has ${found.size} bytes; files over 2 GB are not read`)
      return readFileSync(file)
    })
  }
}

const real = (path: string): string => at(path, () => realpathSync(path))

function at<T>(path: string, body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw error instanceof UserError ? error : new UserError(`${path} ${reason(error)}`, { cause: error })
  }
}
