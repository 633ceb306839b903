import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { UserError } from '../../src/graph/errors.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import type { Attrs, Check, Comparison, OracleCase } from './case.ts'
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
 * @param print takes a line for each case that failed or was skipped, and for each sub-folder the case nearest to its limit
 * @throws UserError when the folder has no cases
 */
export async function runOracles(folder: string, print: (line: string) => void): Promise<Tally> {
  const runtime = await nodeRuntime('cpu')
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
  for (const [name, check] of Object.entries(FOLDERS)) {
    const files = await readdir(join(folder, name)).catch(() => [])
    let nearest: (Comparison & { readonly of: string }) | undefined
    for (const file of files.filter(f => f.endsWith('.safetensors')).sort()) {
      const of = file.replace('.safetensors', '')
      const { status, detail, comparisons } = await judge(join(folder, name, file), check, runtime)
      tally[status]++
      if (status !== 'passed') print(`${status} ${name}/${of}: ${detail}`)
      for (const c of comparisons)
        if (!nearest || c.error / c.limit > nearest.error / nearest.limit) nearest = { ...c, of }
    }
    if (nearest)
      print(
        `${name}: nearest to its limit is ${nearest.of}, ${nearest.what}: ${nearest.error.toExponential(1)} of ${nearest.limit}`,
      )
  }
  if (!(tally.passed + tally.failed + tally.skipped))
    throw new UserError(
      `no cases in ${folder}: it needs .safetensors files in ${Object.keys(FOLDERS).join(', ')}; scripts/oracles/make.py writes them`,
    )
  return tally
}

interface Verdict {
  readonly status: keyof Tally
  readonly detail: string
  readonly comparisons: readonly Comparison[]
}

async function judge(path: string, check: Check, runtime: Runtime): Promise<Verdict> {
  try {
    const outcome = await check(await readCase(path), runtime)
    if ('skipped' in outcome) return { status: 'skipped', detail: outcome.skipped, comparisons: [] }
    const { comparisons } = outcome
    const wrong = comparisons.filter(c => !(c.error <= c.limit))
    const shown = wrong.map(c => `${c.what} is off by ${c.error.toExponential(1)} (limit ${c.limit})`)
    const status = wrong.length || !comparisons.length ? 'failed' : 'passed'
    return { status, detail: shown.join('; ') || 'compares nothing', comparisons }
  } catch (error) {
    return {
      status: 'failed',
      detail: error instanceof Error ? error.message : String(error),
      comparisons: [],
    }
  }
}

async function readCase(path: string): Promise<OracleCase> {
  const { tensors, metadata } = readSafetensors(await readFile(path), path)
  if (!metadata.case) throw new UserError(`${path}: its metadata names no case`)
  const given: object = JSON.parse(metadata.attrs ?? '{}')
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
