import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runOracles } from '../../scripts/oracles/run.ts'

const folder = '../shared/oracles'

test.skipIf(!existsSync(folder))(
  'ops, optimizers, schedules and the ViT give the reference values of PyTorch (skipped without ../shared/oracles)',
  async () => {
    const lines: string[] = []
    const { passed, failed } = await runOracles(folder, line => lines.push(line))
    expect(lines.filter(line => line.startsWith('failed'))).toEqual([])
    expect(failed).toBe(0)
    expect(passed).toBeGreaterThan(0)
  },
)
