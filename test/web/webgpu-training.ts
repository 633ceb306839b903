import { expect, test } from 'vitest'
import { apart } from './apart.ts'
import { noSwiftShader, runProgram } from './swiftshader.ts'

interface Report {
  readonly losses: number[]
  readonly logits: number[]
  readonly norm: number
}

/** Milliseconds. In software a GPU takes all cores, and shares them with the other tests. */
const LIMIT = 600_000

/**
 * Trains on WebGPU and on the CPU, two steps an epoch, to the same losses.
 * @param fall what share of the first loss the last one has at most
 */
export const testTraining = (size: 'lecture' | 'small', epochs: number, fall: number) =>
  test.skipIf(noSwiftShader)(
    `WebGPU trains the ${size} ViT to the losses of the CPU${noSwiftShader ? ` (${noSwiftShader})` : ''}`,
    async () => {
      const train = (device: string) => runProgram<Report>('webgpu-losses.ts', device, size, String(epochs))
      const [cpu, webgpu] = await Promise.all([train('cpu'), train('webgpu')])
      expect(cpu.losses).toHaveLength(2 * epochs)
      expect(cpu.losses.at(-1)).toBeLessThan(fall * cpu.losses[0]!)
      expect(webgpu.losses).toHaveLength(2 * epochs)
      expect(apart(webgpu.losses, cpu.losses)).toBeLessThanOrEqual(1e-3)
      expect(webgpu.logits).toHaveLength(cpu.logits.length)
      expect(apart(webgpu.logits, cpu.logits)).toBeLessThanOrEqual(1e-2)
      expect(webgpu.norm).toBeCloseTo(cpu.norm, 3)
    },
    LIMIT,
  )
