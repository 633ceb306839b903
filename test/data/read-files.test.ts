import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { openFile, readBytes, readText } from '../../src/data/files-node.ts'
import { UserError } from '../../src/graph/errors.ts'
import { readResumable } from '../../src/runs/saved-node.ts'
import { temporaryFolder } from './files.ts'

let folder: string
const at = (name: string) => join(folder, name)
beforeEach(async () => {
  folder = await temporaryFolder()
  await writeFile(at('file'), 'é')
  await symlink('file', at('link'))
})

/** What it is refused with. */
async function problem(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    e => e,
  )
  expect(error).toBeInstanceOf(UserError)
  return (error as Error).message.replaceAll(folder, '…')
}

test('a file is read, through a link too', async () => {
  expect(Buffer.from(await readBytes(at('file'))).toString()).toBe('é')
  expect(await readText(at('link'))).toBe('é')
  expect(await readText(at('nothing'))).toBeUndefined()
  expect(await readText(at('file/within'))).toBeUndefined()
})

test('a link is opened only where links are followed', async () => {
  await (await openFile(at('link'))).close()
  await (await openFile(at('file'), { links: false })).close()
  expect(await problem(openFile(at('link'), { links: false }))).toBe('…/link is a link, not a file')
  await symlink('loop', at('loop'))
  expect(await problem(openFile(at('loop')))).toBe('…/loop is a link that leads back to itself')
})

test('what is no file is refused', async () => {
  await mkdir(at('folder'))
  expect(await problem(readBytes(at('folder')))).toBe('…/folder is a folder, not a file')
  expect(await problem(readBytes(at('nothing')))).toBe('…/nothing does not exist')
})

describe.skipIf(process.platform === 'win32')('a FIFO, which nobody may ever write into,', () => {
  test('is refused at once, as are devices', async () => {
    execFileSync('mkfifo', [at('fifo')])
    await symlink('fifo', at('to-fifo'))
    for (const name of ['fifo', 'to-fifo']) {
      expect(await problem(readBytes(at(name)))).toBe(`…/${name} is a named pipe, not a file`)
      expect(await problem(readText(at(name)))).toBe(`…/${name} is a named pipe, not a file`)
    }
    for (const device of ['/dev/zero', '/dev/null', '/dev/tty'])
      await expect(readBytes(device)).rejects.toBeInstanceOf(UserError)
  })

  test('stops no program that reads a run folder', async () => {
    const settings = { model: { name: 'mlp', config: { image: 2, channels: 1, hidden: [2], classes: 2 } } }
    const record = { ...settings, epochs: 1, batch: 1, seed: 0, optimizer: { name: 'sgd' }, images: 2 }
    const config = { ...record, schedule: { name: 'constant' }, classes: ['a', 'b'] }
    const read = () => readResumable(folder, buildModel, () => {})
    await writeFile(at('config.json'), JSON.stringify(config))
    expect((await read()).record.step).toBe(0)
    execFileSync('mkfifo', [at('metrics.jsonl')])
    expect(await problem(read())).toBe('…/metrics.jsonl is a named pipe, not a file')
    execFileSync('rm', [at('config.json'), at('metrics.jsonl')])
    execFileSync('mkfifo', [at('config.json')])
    expect(await problem(read())).toBe('…/config.json is a named pipe, not a file')
  })
})
