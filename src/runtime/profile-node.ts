import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Profile } from './session.ts'

/** The fields of an onnxruntime profile event that are used here; `dur` is in microseconds. */
export interface ProfileEvent {
  readonly cat: string
  readonly name: string
  readonly dur: number
  readonly args?: { readonly op_name?: string }
}

/** Rows of a table of times; the rest is one row. */
const MOST_ROWS = 20

const KERNEL = '_kernel_time'

/** The path of the layer in a node's name, such as `blocks.0.attn/MatMul_1`. */
const layerOf = (name: string): string => {
  const end = name.indexOf('/')
  return end > 0 ? name.slice(0, end) : 'outside of layers'
}

function table(title: string, times: ReadonlyMap<string, number>, runs: number): string[] {
  const total = [...times.values()].reduce((a, b) => a + b, 0)
  const sorted = [...times].sort(([, a], [, b]) => b - a)
  const rest = sorted.slice(MOST_ROWS)
  const rows = sorted.slice(0, MOST_ROWS)
  if (rest.length) rows.push([`${rest.length} more`, rest.reduce((sum, [, time]) => sum + time, 0)])
  const width = Math.max(title.length, ...rows.map(([name]) => name.length))
  const line = (name: string, time: number) =>
    `  ${name.padEnd(width)}  ${(time / runs / 1000).toFixed(3).padStart(10)}  ${((100 * time) / total).toFixed(1).padStart(6)} %`
  return [
    `  ${title.padEnd(width)}  ${'ms per run'.padStart(10)}   share`,
    ...rows.map(row => line(...row)),
    line('all', total),
  ]
}

/** The time of a session's runs by layer and by operator, as lines; empty for a session that ran only once. */
export function profileText(name: string, events: readonly ProfileEvent[]): string[] {
  const runs = events.filter(e => e.cat === 'Session' && e.name === 'model_run').length
  const kernels = events.filter(e => e.cat === 'Node' && e.name.endsWith(KERNEL))
  if (runs < 2 || !kernels.length) return []
  const [layers, operators] = [new Map<string, number>(), new Map<string, number>()]
  const count = (times: Map<string, number>, key: string, time: number) =>
    times.set(key, (times.get(key) ?? 0) + time)
  for (const { name: node, dur, args } of kernels) {
    count(layers, layerOf(node), dur)
    count(operators, args?.op_name ?? 'unknown', dur)
  }
  return [
    `onnxgrad: ${name}: time of ${runs} runs`,
    ...table('layer', layers, runs),
    ...table('operator', operators, runs),
  ]
}

/** Begins a profile: onnxruntime writes a file, which is read when the session ends. */
export function startProfile(): Profile {
  const folder = mkdtempSync(join(tmpdir(), 'onnxgrad-profile-'))
  return {
    options: { enableProfiling: true, profileFilePrefix: join(folder, 'session') },
    end(session, name) {
      session.endProfiling()
      const [file] = readdirSync(folder)
      const events: ProfileEvent[] = file ? JSON.parse(readFileSync(join(folder, file), 'utf8')) : []
      rmSync(folder, { recursive: true })
      const lines = profileText(name, events)
      if (lines.length) console.error(lines.join('\n'))
    },
  }
}
