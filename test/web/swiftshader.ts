import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

// SwiftShader is a Vulkan driver that needs no GPU; Debian's package chromium brings it.
const icd = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json'

/** Why WebGPU cannot be tested here; nothing where it can. */
export const noSwiftShader: string | undefined = existsSync(icd)
  ? undefined
  : `skipped: no SwiftShader at ${icd}`
if (noSwiftShader) console.warn(`WebGPU ${noSwiftShader}`)

/** Runs a program of this folder with SwiftShader as its GPU; gives the JSON of its last line. */
export async function runProgram<Report>(file: string, ...args: string[]): Promise<Report> {
  const program = fileURLToPath(new URL(file, import.meta.url))
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-vulkan-'))
  const env = {
    ...process.env,
    VK_ICD_FILENAMES: icd,
    VK_DRIVER_FILES: icd,
    // The Vulkan loader itself, where the system has none.
    LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, dirname(icd)].filter(Boolean).join(':'),
    XDG_RUNTIME_DIR: folder,
  }
  try {
    const command = ['--import', 'tsx', program, ...args]
    const { stdout } = await promisify(execFile)(process.execPath, command, { env })
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Report
  } finally {
    await rm(folder, { recursive: true })
  }
}
