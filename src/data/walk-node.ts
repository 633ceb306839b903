import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { reason } from './files-node.ts'
import { isSystemEntry } from './split-names.ts'
import type { Unreadable } from './unreadable.ts'

/** What is in a folder and in the folders in it. Paths are from that folder, with `/`. */
export interface Walked {
  readonly files: readonly string[]
  readonly folders: readonly string[]
  /** Links that lead nowhere, or back to a folder that they lie in. */
  readonly broken: readonly Unreadable[]
}

/**
 * Lists a folder, through links too; system files are left out.
 * @throws UserError when a folder cannot be read
 */
export async function walk(root: string): Promise<Walked> {
  const files: string[] = []
  const folders: string[] = []
  const broken: Unreadable[] = []

  /** @param above the real paths of the folders that it lies in */
  async function visit(path: string, above: readonly string[]): Promise<void> {
    const folder = join(root, path)
    const entries = await readdir(folder, { withFileTypes: true }).catch(error => {
      throw new UserError(`${folder}: ${reason(error)}`)
    })
    const real = await realpath(folder)
    for (const entry of entries) {
      if (isSystemEntry(entry.name)) continue
      const inner = path ? `${path}/${entry.name}` : entry.name
      const kind = entry.isSymbolicLink() ? await stat(join(folder, entry.name)).catch(reason) : entry
      if (typeof kind === 'string') {
        broken.push({ path: inner, why: kind })
      } else if (!kind.isDirectory()) {
        files.push(inner)
      } else if (entry.isSymbolicLink() && [...above, real].includes(await realpath(join(root, inner)))) {
        broken.push({ path: inner, why: 'is a link to a folder that contains it' })
      } else {
        folders.push(inner)
        await visit(inner, [...above, real])
      }
    }
  }
  await visit('', [])
  return { files, folders, broken }
}
