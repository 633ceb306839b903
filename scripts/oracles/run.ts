import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { UserError } from '../../src/graph/errors.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import type { Attrs, Check, OracleCase } from './case.ts'
import { checkOp } from './ops.ts'
import { checkOptimizer } from './optim.ts'
import { checkViT } from './vit.ts'

const FOLDERS: Readonly<Record<string, Check>> = { ops: checkOp, optim: checkOptimizer, vit: checkViT }

export interface Tally {
  passed: number
  failed: number
  skipped: number
}

/**
 * Computes every case in the sub-folders of `folder` and compares it with its reference values.
 * @param print takes one line for each case that failed or was skipped
 * @throws UserError when the folder has no cases
 */
export async function runOracles(folder: string, print: (line: string) => void): Promise<Tally> {
  const runtime = await nodeRuntime('cpu')
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
  for (const [name, check] of Object.entries(FOLDERS)) {
    const files = await readdir(join(folder, name)).catch(() => [])
    for (const file of files.filter(f => f.endsWith('.safetensors')).sort()) {
      const [status, detail] = await judge(join(folder, name, file), check, runtime)
      tally[status]++
      if (status !== 'passed') print(`${status} ${name}/${file.replace('.safetensors', '')}: ${detail}`)
    }
  }
  if (!(tally.passed + tally.failed + tally.skipped))
    throw new UserError(
      `no cases in ${folder}: it needs .safetensors files in ${Object.keys(FOLDERS).join(', ')}`,
    )
  return tally
}

async function judge(path: string, check: Check, runtime: Runtime): Promise<[keyof Tally, string]> {
  try {
    const outcome = await check(await readCase(path), runtime)
    if ('skipped' in outcome) return ['skipped', outcome.skipped]
    const wrong = outcome.comparisons.filter(c => !(c.error <= c.limit))
    const shown = wrong.map(c => `${c.what} is off by ${c.error.toExponential(1)} (limit ${c.limit})`)
    return [
      wrong.length || !outcome.comparisons.length ? 'failed' : 'passed',
      shown.join('; ') || 'compares nothing',
    ]
  } catch (error) {
    return ['failed', error instanceof Error ? error.message : String(error)]
  }
}

async function readCase(path: string): Promise<OracleCase> {
  const { tensors, metadata } = readSafetensors(await readFile(path), path)
  if (!metadata.case) throw new UserError(`${path}: its metadata names no case`)
  const given = JSON.parse(metadata.attrs ?? '{}') as object
  const read = new Set<string | symbol>(['note'])
  const attrs = new Proxy(given as Attrs, {
    get(target, key) {
      read.add(key)
      return Reflect.get(target, key)
    },
  })
  const unread = () => Object.keys(given).filter(key => !read.has(key))
  return { name: metadata.case, tensors, metadata, attrs, unread }
}
