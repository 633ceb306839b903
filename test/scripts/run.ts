import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import ort from 'onnxruntime-node'

const root = fileURLToPath(new URL('../..', import.meta.url))
const loader = new URL('../../node_modules/tsx/dist/esm/index.mjs', import.meta.url).href

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Gets each line of the output while the script runs. */
  readonly onLine?: (line: string, script: ChildProcess) => void
}

/** Runs a script of scripts/ as users of a clone do. */
export function runScript(
  name: string,
  args: readonly string[],
  { env = {}, onLine = () => {} }: RunOptions = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const script = spawn(process.execPath, ['--import', loader, `scripts/${name}.ts`, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
  })
  let [stdout, stderr] = ['', '']
  script.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (stdout.slice(stdout.lastIndexOf('\n') + 1) + text).split('\n')
    stdout += text
    for (const line of lines.slice(0, -1)) onLine(line, script)
  })
  script.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    script.on('error', reject)
    script.on('close', code => resolve({ code, stdout, stderr }))
  })
}

export const scriptSource = (name: string): Promise<string> => readFile(`${root}/scripts/${name}.ts`, 'utf8')

export const argmax = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((best, value, i) => (value > Number(values[best]) ? i : best), 0)

/** Runs a file in ONNX Runtime, without onnxgrad. @returns the rows of its logits, one per example or token */
export async function logitsOf(
  path: string,
  input: string,
  data: Float32Array | Int32Array,
  dims: readonly number[],
): Promise<number[][]> {
  const session = await ort.InferenceSession.create(path)
  const tensor =
    data instanceof Float32Array ? new ort.Tensor('float32', data, dims) : new ort.Tensor('int32', data, dims)
  const { logits } = await session.run({ [input]: tensor })
  await session.release()
  if (!logits) throw new Error(`${path} has no output logits`)
  const size = Number(logits.dims.at(-1))
  const all = Array.from(logits.data, Number)
  return Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size))
}
