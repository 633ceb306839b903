import { debugLevel } from '../graph/debug.ts'
import { type Graph, isLeaf, nodesOf } from '../graph/graph.ts'
import { print } from '../graph/print.ts'
import type { Trace } from '../passes/pass.ts'
import { lower } from './lower.ts'

/** The part of node:fs that is used here; pages have none. */
interface Files {
  mkdirSync(path: string, options: { recursive: true }): unknown
  writeFileSync(path: string, bytes: Uint8Array): void
}

interface Host {
  readonly process?: { getBuiltinModule?(name: string): Files | undefined }
}

const FOLDER = 'onnxgrad-debug'

const PREFIX = 'parameter.'

let files = 0

/** Writes a graph to a file in {@link FOLDER}; its parameters become inputs, because it has no weights yet. */
function write({ inputs, parameters, outputs }: Graph, name: string): void {
  const { process }: Host = globalThis
  const fs = process?.getBuiltinModule?.('node:fs')
  if (!fs) return
  const given = Object.entries(parameters).map(([key, t]) => [PREFIX + key, t] as const)
  const path = `${FOLDER}/${String(++files).padStart(4, '0')}-${name}.onnx`
  const graph = { inputs: { ...inputs, ...Object.fromEntries(given) }, parameters: {}, outputs }
  fs.mkdirSync(FOLDER, { recursive: true })
  fs.writeFileSync(path, lower(graph, { name, opset: 24 }))
}

const count = (graph: Graph): number => nodesOf(graph).filter(node => !isLeaf(node)).length

/**
 * Reports the passes over a graph as ONNXGRAD_DEBUG asks for: on the console, and as files.
 * @param name of the graph, such as `vit-step`
 * @returns nothing where it is not set
 */
export function tracePasses(name: string): Trace | undefined {
  const level = debugLevel()
  if (level < 1) return undefined
  let first = true
  return ({ pass, before, after, ms }) => {
    if (level >= 2 && first) console.error(`${name}\n${print(before)}`)
    if (level >= 4 && first) write(before, name)
    first = false
    const [from, to] = [count(before), count(after)]
    console.error(
      `onnxgrad: ${name}: ${pass}: ${from === to ? from : `${from} to ${to}`} nodes, ${ms.toFixed(1)} ms`,
    )
    if (before === after) return
    if (level >= 2) console.error(`${name} after ${pass}\n${print(after)}`)
    if (level >= 4) write(after, `${name}-${pass}`)
  }
}
