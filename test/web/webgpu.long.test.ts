import { expect, test } from 'vitest'
import { noSwiftShader, runProgram } from './swiftshader.ts'

interface Report {
  readonly losses: number[]
  readonly logits: number[]
  readonly norm: number
}

const train = (device: string): Promise<Report> => runProgram('webgpu-losses.ts', device)

test.skipIf(noSwiftShader)(
  `WebGPU trains the lecture's ViT to the losses of the CPU${noSwiftShader ? ` (${noSwiftShader})` : ''}`,
  { timeout: 300_000 },
  async () => {
    const [cpu, webgpu] = await Promise.all([train('cpu'), train('webgpu')])
    const apart = (a: readonly number[], b: readonly number[]) =>
      Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))

    expect(cpu.losses).toHaveLength(20)
    expect(cpu.losses.at(-1)).toBeLessThan(cpu.losses[0]! / 2)
    expect(webgpu.losses).toHaveLength(20)
    expect(apart(webgpu.losses, cpu.losses)).toBeLessThanOrEqual(1e-3)
    expect(webgpu.logits).toHaveLength(cpu.logits.length)
    expect(apart(webgpu.logits, cpu.logits)).toBeLessThanOrEqual(1e-2)
    expect(webgpu.norm).toBeCloseTo(cpu.norm, 3)
  },
)
