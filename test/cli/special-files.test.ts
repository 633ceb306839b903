import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { readFlags } from '../../src/cli/options.ts'
import { append, readBytes, writeAtomic } from '../../src/data/files-node.ts'
import { loadText } from '../../src/data/text-node.ts'
import { UserError } from '../../src/graph/errors.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { RUN_FILES, RunFolder, readRun } from '../../src/runs/folder-node.ts'
import { takeLock } from '../../src/runs/lock-node.ts'
import { loadModelFile } from '../../src/runs/model-file-node.ts'
import { readStanding as readTrial } from '../../src/runs/standing-node.ts'
import { wholeLayout } from '../../src/train/step/state.ts'
import { temporaryFolder } from '../data/files.ts'
import { workFolder } from './program.ts'

const settings = { image: 2, channels: 1, hidden: [3], classes: 2 }
const model = buildModel('mlp', settings)
const layout = wholeLayout(layoutOf(model.parameters))
const stateAt = (step: number) => ({
  ...{ step, steps: { '': step } },
  vectors: { params: new Float32Array(layout.all.size).fill(step) },
})
const config = { model: { name: 'mlp', config: model.config }, classes: ['a', 'b'] }
const record = {
  ...{ ...config, step: 0, epochs: 9, batch: 1, seed: 0, examples: 10 },
  ...{ optimizer: { name: 'sgd' }, schedule: { name: 'constant' } },
}

/** What can have the name of a file, and is none. */
const KINDS: Readonly<Record<string, (path: string) => unknown>> = {
  'a link to nothing': path => symlink('nothing', path),
  'a link to itself': path => symlink(path, path),
  'a named pipe': path => spawnSync('mkfifo', [path]),
  'a folder': path => mkdir(path),
  'a socket': async path => {
    const server = createServer().listen(path)
    onTestFinished(() => void server.close())
    await once(server, 'listening')
  },
  'a device': path => symlink('/dev/zero', path),
}

let path: string
let out: string
beforeEach(async () => {
  path = await temporaryFolder()
  out = join(path, 'run')
})

/** A run of two steps, each saved, with a report. */
const whole = join(await workFolder(), 'whole')
beforeAll(async () => {
  const folder = await RunFolder.at(whole)
  await folder.begin({ ...record, ...config })
  for (const step of [1, 2]) {
    await folder.record({ step })
    const state = stateAt(step)
    const best = { epoch: 1, step, measured: { loss: 0, accuracy: 1 } }
    await folder.checkpoint('best', layout, state, { ...record, step, best }, { valAccuracy: 1 })
    await folder.checkpoint('last', layout, state, { ...record, step, best }, {})
  }
  await folder.model(Uint8Array.of(1))
  await folder.write('report', 'text')
  folder.close()
})
const run = (): Promise<void> => cp(whole, out, { recursive: true })

/** What comes of an action: done, or the one line that refuses it; within some seconds. */
async function outcome(action: () => unknown): Promise<string> {
  const late = new Promise(resolve => setTimeout(resolve, 8000, new Error('it hangs')).unref())
  const work = Promise.resolve().then(action)
  const error = await Promise.race([work.then(() => undefined), late]).catch((e: unknown) => e)
  if (error === undefined) return 'done'
  expect(error, String(error)).toBeInstanceOf(UserError)
  expect((error as Error).message).not.toMatch(/\n|EISDIR|ENXIO|ELOOP|ENOENT|EEXIST/)
  return (error as Error).message.replaceAll(path, '.')
}

const ACTIONS: Readonly<Record<string, () => unknown>> = {
  resume: async () => {
    const { folder } = await RunFolder.resume(out, buildModel, () => {})
    try {
      await folder.continue()
      await folder.record({ step: 3 })
      await folder.checkpoint('last', layout, stateAt(3), { ...record, step: 3 }, {})
    } finally {
      folder.close()
    }
  },
  overwrite: async () => {
    const folder = await RunFolder.at(out, { overwrite: true })
    await folder.begin({ ...record, ...config })
    folder.close()
  },
  'read the run': () => readRun(out, buildModel),
  'read the trial': () => readTrial(out),
}

describe.skipIf(process.platform === 'win32')('in a run folder', () => {
  it.each(Object.keys(RUN_FILES) as (keyof typeof RUN_FILES)[])(
    'whatever stands at %s, nothing hangs and all is told in a line',
    async name => {
      const file = join(out, RUN_FILES[name])
      for (const [kind, make] of Object.entries(KINDS))
        for (const [verb, action] of Object.entries(ACTIONS)) {
          await rm(out, { recursive: true, force: true })
          await run()
          await rm(file, { force: true })
          await make(file)
          const came = await outcome(action)
          if (name === 'lock' && (verb === 'resume' || verb === 'overwrite'))
            expect(came).toMatch(
              /^\.\/run\/lock is a (link|named pipe|folder|socket), not a lock; if no process is using it, delete it$/,
            )
          if (came !== 'done') expect(`${verb} ${kind}: ${came}`).toContain('./run')
          await rm(file, { recursive: true, force: true })
          // It was no lock of ours, and no damage to others.
          expect(await readdir(out)).not.toContain('lock')
        }
    },
  )

  it('what has a temporary name and is no file stays, and is no hindrance', async () => {
    for (const [kind, make] of Object.entries(KINDS)) {
      if (kind === 'a device') continue // A write into a device is one.
      await rm(out, { recursive: true, force: true })
      await run()
      for (const of of ['last.safetensors', 'config.json', 'metrics.jsonl'])
        await make(join(out, `${of}.${process.pid}.tmp`))
      await mkdir(join(out, 'lock.00000000'))
      expect([kind, await outcome(ACTIONS.resume!)]).toEqual([kind, 'done'])
      expect(await readdir(out)).toContain('lock.00000000')
    }
  })
})

describe.skipIf(process.platform === 'win32')('in the place of a run folder', () => {
  it('a file, pipe, socket, device or link is refused, and nothing is changed', async () => {
    await writeFile(join(path, 'file'), 'mine')
    const kinds = { ...KINDS, 'a file': (to: string) => writeFile(to, 'mine') }
    for (const [kind, make] of Object.entries(kinds)) {
      if (kind === 'a folder') continue
      await make(out)
      const answers = await Promise.all(Object.values(ACTIONS).map(outcome))
      // A trial that has not begun has come to nothing.
      expect([kind, answers.filter(a => a === 'done').length]).toEqual([kind, expect.toBeOneOf([0, 1])])
      if (kind === 'a file') expect(await readFile(out, 'utf8')).toBe('mine')
      await rm(out, { force: true })
    }
  })

  it('the next free name is taken, and a file for a folder above is told', async () => {
    await writeFile(out, '')
    await symlink('nothing', `${out}-2`)
    await mkdir(`${out}-3`)
    expect((await RunFolder.next(out)).path).toBe(`${out}-3`)
    expect(await outcome(() => RunFolder.next(join(out, 'of')))).toBe('./run is not a folder')
  })
})

describe.skipIf(process.platform === 'win32')('a path that a user names', () => {
  const flags = (file: string) => {
    const read = readFlags(file)
    if (read instanceof Error) throw read
    return read
  }
  const READ: Readonly<Record<string, (file: string) => unknown>> = {
    readBytes,
    'a model': loadModelFile,
    'a text': file => loadText(file, 8),
    flags,
    'a lock': takeLock,
    append: file => append(file, 'x'),
    written: file => writeAtomic(file, 'x'),
  }

  it('is refused in one line where it is not a file', async () => {
    for (const [kind, make] of Object.entries(KINDS))
      for (const [of, read] of Object.entries(READ)) {
        const file = join(path, 'it')
        await make(file)
        const came = await outcome(() => read(file))
        // A link to nothing is replaced by what is written.
        if (!(of === 'written' && kind.startsWith('a link')))
          expect(`${of} ${kind}: ${came}`).toMatch(/: \.\/it/)
        await rm(file, { recursive: true, force: true })
      }
  })

  it('may be a pipe that another program writes into, for texts and flags', async () => {
    const file = join(path, 'pipe')
    spawnSync('mkfifo', [file])
    const writing = (shell: string) => spawn('sh', ['-c', `{ ${shell}; } >'${file}'`], { stdio: 'ignore' })
    const lines = 'one two three four\n'.repeat(9)
    writing(`sleep 0.2; printf '${lines}'; sleep 0.2; printf '${lines}'`)
    const { origin } = await loadText(file, 8)
    expect(origin).toContain(`${2 * lines.length} characters`)
    writing(`echo '{ "epochs": 3 }'`)
    expect(flags(file)).toEqual({ epochs: 3 })
    writing(`echo '[3]'`)
    expect(await outcome(() => flags(file))).toBe('./pipe is not a JSON object of flags')
    expect(await outcome(() => flags(file))).toBe('./pipe is a pipe that nothing writes to')
  })
})
