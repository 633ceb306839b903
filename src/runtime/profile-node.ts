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

/** Where the time of a graph's runs went, in milliseconds of a run; the longest first. */
export interface GraphProfile {
  /** Of the graph, such as `vit-step`. */
  readonly graph: string
  /** Runs that were measured. */
  readonly runs: number
  /** By path of the layer, such as `blocks.0.attn`, forward and backward together. */
  readonly layers: Readonly<Record<string, number>>
  /** By operator. */
  readonly operators: Readonly<Record<string, number>>
}

/** Rows of a table of times; the rest is one row. */
const MOST_ROWS = 20

const KERNEL = '_kernel_time'

/** The path of the layer in a node's name, such as `blocks.0.attn/MatMul_1`. */
const layerOf = (name: string): string => {
  const end = name.indexOf('/')
  return end > 0 ? name.slice(0, end) : 'outside of layers'
}

const ordered = (times: ReadonlyMap<string, number>): Readonly<Record<string, number>> =>
  Object.fromEntries([...times].sort(([, a], [, b]) => b - a))

/** What the events of a session say; undefined for a session that ran once, which is a look at a few values. */
export function profileOf(graph: string, events: readonly ProfileEvent[]): GraphProfile | undefined {
  const runs = events.filter(e => e.cat === 'Session' && e.name === 'model_run').length
  const kernels = events.filter(e => e.cat === 'Node' && e.name.endsWith(KERNEL))
  if (runs < 2 || !kernels.length) return undefined
  const [layers, operators] = [new Map<string, number>(), new Map<string, number>()]
  const count = (times: Map<string, number>, key: string, microseconds: number) =>
    times.set(key, (times.get(key) ?? 0) + microseconds / runs / 1000)
  for (const { name: node, dur, args } of kernels) {
    count(layers, layerOf(node), dur)
    count(operators, args?.op_name ?? 'unknown', dur)
  }
  return { graph, runs, layers: ordered(layers), operators: ordered(operators) }
}

function table(title: string, times: Readonly<Record<string, number>>): string[] {
  const sorted = Object.entries(times)
  const total = sorted.reduce((sum, [, ms]) => sum + ms, 0)
  const rest = sorted.slice(MOST_ROWS)
  const rows = sorted.slice(0, MOST_ROWS)
  if (rest.length) rows.push([`${rest.length} more`, rest.reduce((sum, [, ms]) => sum + ms, 0)])
  const width = Math.max(title.length, ...rows.map(([name]) => name.length))
  const line = (name: string, ms: number) =>
    `  ${name.padEnd(width)}  ${ms.toFixed(3).padStart(10)}  ${((100 * ms) / total).toFixed(1).padStart(6)} %`
  return [
    `  ${title.padEnd(width)}  ${'ms per run'.padStart(10)}   share`,
    ...rows.map(row => line(...row)),
    line('all', total),
  ]
}

/** A profile as lines: by layer, then by operator. */
export const profileLines = ({ graph, runs, layers, operators }: GraphProfile): string[] => [
  `${graph}: time of ${runs} runs`,
  ...table('layer', layers),
  ...table('operator', operators),
]

/**
 * Begins a profile: onnxruntime writes a file, which is read when the session ends.
 * @param report receives it @default prints it on the console
 */
export function startProfile(
  report: (profile: GraphProfile) => void = profile =>
    console.error(`onnxgrad: ${profileLines(profile).join('\n')}`),
): Profile {
  const folder = mkdtempSync(join(tmpdir(), 'onnxgrad-profile-'))
  return {
    options: { enableProfiling: true, profileFilePrefix: join(folder, 'session') },
    end(session, name) {
      session.endProfiling()
      const [file] = readdirSync(folder)
      const events: ProfileEvent[] = file ? JSON.parse(readFileSync(join(folder, file), 'utf8')) : []
      rmSync(folder, { recursive: true })
      const profile = profileOf(name, events)
      if (profile) report(profile)
    },
  }
}
