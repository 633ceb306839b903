import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { UserError } from '../../src/graph/errors.ts'
import { runPlan } from '../../src/runs/train-node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { type Call, faults } from './faults.ts'
import { newPlan, resumedPlan } from './plans.ts'

const FLAGS = {
  ...{ hidden: [3], epochs: 2, batch: 20, valSplit: 10, limit: 50, optimizer: 'sgd', threads: 1 },
  ...{ momentum: 0.9, shift: 0.1 },
}

/** What a training of two epochs of two steps, saved after each, comes to whatever happens meanwhile. */
export class Trial {
  readonly #folder: string
  readonly #runtime: Runtime
  readonly #data: string
  #snapshots = 0

  constructor(folder: string, data: string, runtime: Runtime) {
    this.#folder = folder
    this.#data = data
    this.#runtime = runtime
  }

  path = (name: string): string => join(this.#folder, name)

  /** Trains into a folder, or goes on there; nothing where that is done. */
  async train(name: string): Promise<void> {
    const out = this.path(name)
    const begun = existsSync(join(out, 'config.json'))
    const execution = { report: false, verify: false, saveEvery: 0 }
    const plan = await (begun
      ? resumedPlan(out, execution)
      : newPlan('mlp', { ...FLAGS, ...execution, data: this.#data, out }))
    await runPlan(plan, this.#runtime)
  }

  /** The folders that a process leaves which ends before or after any call, or in the midst of a write; each once. */
  async deaths(name: string): Promise<readonly string[]> {
    const found = new Map<string, string>()
    const out = this.path(name)
    const snap = (tear?: Call['write']) => {
      if (!existsSync(out)) return
      const copy = this.path(`death-${this.#snapshots++}`)
      cpSync(out, copy, { recursive: true })
      if (tear) {
        const { size, file } = { size: readFileSync(tear.file).length, file: tear.file.replace(out, copy) }
        truncateSync(file, size - Math.ceil(tear.bytes / 2))
      }
      const names = readdirSync(copy).sort()
      const hash = createHash('sha256')
      for (const file of names) hash.update(`${file}\n`).update(readFileSync(join(copy, file)))
      const digest = hash.digest('hex')
      if (found.has(digest)) rmSync(copy, { recursive: true })
      else found.set(digest, copy)
    }
    faults.begin({
      before: () => snap(),
      after: ({ write }) => {
        snap()
        if (write) snap(write)
      },
    })
    await this.train(name)
    faults.begin()
    for (const copy of found.values()) this.#bury(copy)
    return [...found.values()].map(copy => copy.slice(this.#folder.length + 1))
  }

  /** The lock is of this process, which goes on living. */
  #bury(copy: string): void {
    for (const name of readdirSync(copy).filter(n => n === 'lock')) {
      const holder = JSON.parse(readFileSync(join(copy, name), 'utf8')) as object
      writeFileSync(join(copy, name), JSON.stringify({ ...holder, started: 'at another time' }))
    }
  }

  /** Trains with an error at a call; what that says is one line. */
  async failing(name: string, at: number, code: string): Promise<void> {
    faults.begin({ at, code })
    const error: unknown = await this.train(name).then(
      () => undefined,
      e => e,
    )
    const call = faults.calls[at]
    faults.begin()
    if (error === undefined) return
    expect(error, `${code} at ${call}: ${error}`).toBeInstanceOf(UserError)
    expect((error as Error).message).not.toMatch(/\n|internal/)
  }

  /** Goes on in a folder, and expects what an undisturbed run has come to. */
  async expectSame(name: string, whole: string, story: string): Promise<void> {
    await this.train(name).catch((error: unknown) => {
      expect(String(error), story).toContain('4 steps of 2 epochs are done')
    })
    const files = (of: string) => {
      const at = this.path(of)
      const names = readdirSync(at).sort()
      const bytes = ['model.onnx', 'last.safetensors', 'best.safetensors']
      return { names, bytes: bytes.map(file => readFileSync(join(at, file)).toString('base64')) }
    }
    expect(files(name), story).toEqual(files(whole))
    rmSync(this.path(name), { recursive: true })
  }
}
