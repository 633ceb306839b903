import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inject } from 'vitest'

const root = inject('shared')

/** A file of those that global-setup.ts bundles: `main`, the program, or `node`, `models` and others, the library. */
export const bundled = (name: string): string => join(root, 'program', `${name}.js`)

/** Whether this process is the first to make the folder. */
const first = (folder: string): Promise<boolean> =>
  mkdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )

/**
 * A folder that the first test file to ask fills, and that all read, in whatever process they are; none may change it.
 * @param name the same for all that share it
 */
export async function shared(name: string, fill: (folder: string) => Promise<unknown>): Promise<string> {
  const [done, draft, failed] = ['', '.draft', '.failed'].map(end => join(root, name + end)) as [
    string,
    string,
    string,
  ]
  if (existsSync(done)) return done
  if (await first(join(root, `${name}.lock`))) {
    try {
      await mkdir(draft)
      await fill(draft)
      await rename(draft, done)
    } catch (error) {
      await writeFile(failed, '')
      throw error
    }
  }
  while (!existsSync(done)) {
    if (existsSync(failed)) throw new Error(`another test file could not make ${name}; its error says why`)
    await sleep(50)
  }
  return done
}
