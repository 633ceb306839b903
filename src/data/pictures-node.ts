import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { glob, isDynamicPattern } from 'tinyglobby'
import { UserError } from '../graph/errors.ts'
import { isPicture, KINDS } from './class-folders.ts'
import { reason } from './files-node.ts'
import { decodePixels, readPixels } from './image-node.ts'
import type { Pixels } from './resample.ts'
import { walk } from './walk-node.ts'

/** A picture that was named, on its own, by its folder, or by a pattern. */
export interface NamedPicture {
  /** Its path; `-` for the picture on stdin. */
  readonly file: string
  /** @throws UserError that names the file when it cannot be read */
  read(): Promise<Pixels>
}

/** Stands for stdin. */
const STDIN = '-'

const inOrder = new Intl.Collator('en', { numeric: true })

const byPath = (file: string): NamedPicture => ({ file, read: () => readPixels(file) })

/** In the place of pictures that were expected. */
const missing = (file: string, why: string): NamedPicture => ({
  file,
  read: () => Promise.reject(new UserError(`${file}: ${why}`)),
})

async function readStdin(): Promise<Pixels> {
  const chunks: Uint8Array[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return decodePixels('stdin', Buffer.concat(chunks))
}

async function* inFolder(folder: string): AsyncGenerator<NamedPicture> {
  let files: readonly string[]
  try {
    files = (await walk(folder)).files
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return yield missing(folder, error.message.replace(`${folder}: `, ''))
  }
  const pictures = files.filter(isPicture).sort(inOrder.compare)
  if (!pictures.length) return yield missing(folder, `holds no pictures (${KINDS})`)
  for (const path of pictures) yield byPath(join(folder, path))
}

async function* named(name: string): AsyncGenerator<NamedPicture> {
  if (name === STDIN) return yield { file: STDIN, read: readStdin }
  const entry = await stat(name).catch(() => undefined)
  if (entry?.isDirectory()) return yield* inFolder(name)
  if (entry || !isDynamicPattern(name)) return yield byPath(name)
  const files = (await glob(name, { expandDirectories: false })).sort(inOrder.compare)
  if (!files.length) return yield missing(name, 'no file has such a name')
  for (const file of files) yield byPath(file)
}

/** The lines of a file, or of stdin. @throws UserError when it cannot be read */
async function* linesOf(list: string): AsyncGenerator<string> {
  const input = list === STDIN ? process.stdin : createReadStream(list)
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
      if (line) yield line
  } catch (error) {
    throw new UserError(`${list} ${reason(error)}`)
  }
}

/**
 * Pictures by files, folders (all pictures in them and in their folders), patterns such as `photos/*.jpg`, and `-` for a picture on
 * stdin. Nothing is read before it is asked for.
 * @param list a file with one name a line, or `-` for stdin
 */
export async function* picturesOf(names: readonly string[], list?: string): AsyncGenerator<NamedPicture> {
  for (const name of names) yield* named(name)
  if (list !== undefined) for await (const line of linesOf(list)) yield* named(line)
}
