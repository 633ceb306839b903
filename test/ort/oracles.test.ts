import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import type { OracleCase } from '../../scripts/oracles/case.ts'
import { runOracles } from '../../scripts/oracles/run.ts'
import { checkViT } from '../../scripts/oracles/vit.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

const own = fileURLToPath(new URL('../oracles', import.meta.url))
const shared = '../shared/oracles'

test.each([
  [own, true],
  [shared, existsSync(shared)],
])(
  'ops, optimizers, schedules and the ViT give the reference values of PyTorch in %s',
  async (folder, there) => {
    if (!there) return
    const lines: string[] = []
    const { passed, failed, skipped } = await runOracles(folder, line => lines.push(line))
    expect(lines.filter(line => /^(failed|skipped)/.test(line))).toEqual([])
    expect([failed, skipped]).toEqual([0, 0])
    expect(passed).toBeGreaterThan(90)
  },
)

test('a folder without cases is refused with what makes them', async () => {
  await expect(runOracles(fileURLToPath(new URL('.', import.meta.url)), () => {})).rejects.toThrow(
    /no cases in .*; scripts\/oracles\/make\.py writes them/,
  )
})

describe("parameters after Adam's steps, in float32", () => {
  const file = `${own}/vit/tiny_f32.safetensors`
  let runtime: Runtime
  let given: OracleCase

  beforeAll(async () => {
    runtime = await nodeRuntime('cpu')
    const { tensors, metadata } = readSafetensors(await readFile(file), file)
    given = { name: 'tiny_f32', tensors, metadata, attrs: {}, unread: () => [] }
  })

  /** What differs from the reference once its parameters are `change`d: p from w, by the size of the gradient g. */
  async function wrong(change: (p: number, w: number, g: number, largest: number) => number) {
    const tensors = Object.fromEntries(
      Object.entries(given.tensors).map(([name, t]) => {
        const of = name.slice(2)
        if (!name.startsWith('p.')) return [name, t]
        const [p, w, g] = [t, given.tensors[`w.${of}`]!, given.tensors[`g.${of}`]!].map(
          ({ data }) => data as Float32Array,
        ) as [Float32Array, Float32Array, Float32Array]
        const sizes = Array.from(g, Math.abs)
        const largest = Math.max(...sizes)
        const data = p.map((value, i) => change(value, w[i]!, sizes[i]!, largest))
        return [name, { ...t, data }]
      }),
    )
    const outcome = await checkViT({ ...given, tensors }, runtime)
    if ('skipped' in outcome) throw new Error(outcome.skipped)
    return outcome.comparisons.filter(c => !(c.error <= c.limit)).map(c => c.what)
  }
  const slots = () => Object.keys(given.tensors).filter(name => name.startsWith('p.')).length

  test('may move the other way where the gradient is noise', async () => {
    expect(await wrong(p => p)).toEqual([])
    let moved = 0
    const flip = (p: number, w: number, g: number, largest: number) => {
      if (g >= 1e-3 * largest) return p
      moved++
      return 2 * w - p
    }
    expect(await wrong(flip)).toEqual([])
    expect(moved).toBeGreaterThan(10)
  })

  test('may not where it is larger: neither one of them, nor all by a hundredth', async () => {
    const flipped = await wrong((p, w, g, largest) => (g === largest ? 2 * w - p : p))
    expect(flipped).toHaveLength(slots())
    const far = await wrong((p, w) => w + 1.01 * (p - w))
    expect(far).toHaveLength(slots())
  })

  test('may not run away where it is noise', async () => {
    const away = await wrong((p, w, g, largest) => (g < 1e-3 * largest ? w + 10 * (p - w) + 0.01 : p))
    expect(away.length).toBeGreaterThan(0)
    expect(away.every(what => what.endsWith(', noise'))).toBe(true)
  })
})
