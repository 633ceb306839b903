import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

// SwiftShader is a Vulkan driver that needs no GPU; Debian's package chromium brings it.
const icd = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json'
const missing = existsSync(icd) ? undefined : `skipped: no SwiftShader at ${icd}`
if (missing) console.warn(`WebGPU ${missing}`)

interface Report {
  readonly losses: number[]
  readonly logits: number[]
  readonly norm: number
}

const program = fileURLToPath(new URL('webgpu-losses.ts', import.meta.url))

async function train(device: string, env: Readonly<Record<string, string>> = {}): Promise<Report> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program, device], {
    env: { ...process.env, ...env },
  })
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Report
}

test.skipIf(missing)(
  `WebGPU trains the lecture's ViT to the losses of the CPU${missing ? ` (${missing})` : ''}`,
  { timeout: 300_000 },
  async ({ onTestFinished }) => {
    const runtimeFolder = await mkdtemp(join(tmpdir(), 'onnxgrad-vulkan-'))
    onTestFinished(() => rm(runtimeFolder, { recursive: true }))
    const swiftShader = {
      VK_ICD_FILENAMES: icd,
      VK_DRIVER_FILES: icd,
      // The Vulkan loader itself, where the system has none.
      LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, dirname(icd)].filter(Boolean).join(':'),
      XDG_RUNTIME_DIR: runtimeFolder,
    }
    const [cpu, webgpu] = await Promise.all([train('cpu'), train('webgpu', swiftShader)])
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
