import { readFileSync } from 'node:fs'
import { lower } from '../../src/export/lower.ts'
import { OPSETS } from '../../src/export/opsets.ts'
import { BYTES, type DType, isFloat } from '../../src/graph/dtype.ts'
import { UserError } from '../../src/graph/errors.ts'
import { type Example, exampleOf } from '../../src/graph/example.ts'
import { isLeaf, nodesOf, type Tensors } from '../../src/graph/graph.ts'
import { keysOf } from '../../src/graph/keys.ts'
import { filledWith, Input, input } from '../../src/graph/leaf.ts'
import type { Node } from '../../src/graph/node.ts'
import { nth } from '../../src/graph/present.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'
import { resolved } from '../../src/ops/mode.ts'
import { decompose } from '../../src/passes/decompose.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import { graphOf } from '../../src/runtime/evaluate.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import * as tasks from '../../src/tasks/index.ts'
import { LIMIT } from '../oracles/ops.ts'
import { importedSection } from './imported.ts'

/** Dtypes of models; those that only files of other tools have are left out. */
const DTYPES = keysOf(BYTES).filter(dtype => !['int16', 'uint16', 'uint32', 'uint64'].includes(dtype))

/** A public function with the arguments that show it. */
interface Shown {
  readonly f: (...args: readonly unknown[]) => unknown
  readonly args: Example
}

const isTensor = (value: unknown): value is AnyTensor =>
  typeof value === 'object' && value !== null && 'node' in value

/** The tensors that a function returns: one, a list, or a record. */
const tensorsOf = (result: unknown): AnyTensor[] =>
  isTensor(result) ? [result] : Object.values(result as object).filter(isTensor)

const build = ({ f, args }: Shown, dtype: DType): { outputs: readonly AnyTensor[]; inputs: AnyTensor[] } => {
  let count = 0
  const made = tensorsOf(f(...args((...shape) => input(`x${count++}`, dtype, shape))))
  const nodes = nodesOf({ inputs: {}, parameters: {}, outputs: named(made) })
  return { outputs: made, inputs: nodes.filter(n => n.op === Input).flatMap(n => n.outputs) }
}

const named = (tensors: readonly AnyTensor[]): Tensors =>
  Object.fromEntries(tensors.map((t, i) => [`y${i}`, t]))

const nodesFor = (tensors: readonly AnyTensor[]): Node[] =>
  nodesOf(resolved({ inputs: {}, parameters: {}, outputs: named(tensors) })).filter(n => !isLeaf(n))

/** Whether onnxgrad takes the dtype and onnxruntime's CPU has the kernels. */
async function takes(example: Shown, dtype: DType, cpu: Runtime): Promise<boolean> {
  try {
    const graph = decompose(graphOf(named(build(example, dtype).outputs)), cpu.device.target)
    const session = await cpu.load(lower(graph, { name: 'example', opset: OPSETS.max }), {
      optimize: 'disabled',
    })
    await session.close()
    return true
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
}

/** Gradients of the outputs with respect to all float inputs, or why there are none. */
function gradientsOf({ outputs, inputs }: ReturnType<typeof build>): AnyTensor[] | string {
  if (!inputs.length) return '—'
  const wrt = inputs.filter(t => isFloat(t.dtype))
  const smooth = outputs.filter(y => isFloat(y.dtype))
  if (!wrt.length) return 'none: it takes indices'
  if (!smooth.length) return `none: its output is ${nth(outputs, 0).dtype}`
  try {
    return smooth.flatMap(y => ops.vjp(y, ops.onesLike(y), wrt))
  } catch (error) {
    if (error instanceof UserError) return error.message.replace(/^\w+ has no gradient: /, 'none: ')
    throw error
  }
}

/** Operators among the nodes that each device computes otherwise, for float32, and the CPU for float64. */
function notes(nodes: readonly Node[]): string {
  const found: string[] = []
  const list = (types: readonly string[]) => [...new Set(types)].sort().join(', ')
  for (const { name, target } of Object.values(DEVICES)) {
    const lacking = nodes.filter(n => n.inputs[0] && target.lacks(n.op.type, 'float32', n.attrs))
    const types = lacking.map(n => (target.lacks(n.op.type, 'float32') ? n.op.type : `some ${n.op.type}`))
    if (lacking.length) found.push(`${name}: ${list(types)} by elementary ops`)
    const inexact = list(nodes.map(n => n.op.type).filter(type => target.inexact[type]))
    const error = Math.max(...nodes.map(n => target.inexact[n.op.type] ?? 0))
    if (inexact) found.push(`${name}: ${inexact} within ${error.toExponential(0)}`)
  }
  const single = nodes.filter(
    n => isFloat(nth(n.outputs, 0).dtype) && DEVICES.cpu.target.lacks(n.op.type, 'float64', n.attrs),
  )
  if (single.length) found.push(`float64: ${list(single.map(n => n.op.type))} by elementary ops`)
  return found.join('; ')
}

/** The documentation comment above an exported function, up to its first tag. */
function describe(name: string, source: string): string {
  const at = source.search(new RegExp(`^export (const|function) ${name}\\b`, 'm'))
  const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(source.slice(0, at))
  if (at < 0 || !comment) throw new Error(`${name} has no documentation comment`)
  const text = nth(comment, 1)
    .replace(/^\s*\* ?/gm, '')
    .replace(/\{@link (\w+)\}/g, '`$1`')
  return nth(text.split(/@\w/), 0).replace(/\s+/g, ' ').trim().replaceAll('|', '\\|')
}

async function row(name: string, example: Shown, source: string, cpu: Runtime): Promise<string> {
  const dtypes: DType[] = []
  for (const dtype of DTYPES) if (await takes(example, dtype, cpu)) dtypes.push(dtype)
  // What is said of an op is of its float form, where it has one.
  const built = build(example, dtypes.includes('float32') ? 'float32' : nth(dtypes, 0))
  const gradients = gradientsOf(built)
  const forward = nodesFor(built.outputs)
  const all = Array.isArray(gradients) ? nodesFor([...built.outputs, ...gradients]) : forward
  const zero = Array.isArray(gradients) && gradients.every(g => filledWith(g) === 0)
  const types = [...new Set(forward.map(n => n.op.type))]
  const since = (nodes: readonly Node[]) => Math.max(OLDEST, ...nodes.map(n => n.op.since ?? 0))
  const [opset, opsetOfGradient] = [since(forward), since(all)]
  return `| ${[
    `\`${name}\``,
    describe(name, source),
    types.join(', ') || '—',
    opset === opsetOfGradient ? opset : `${opset}, gradient ${opsetOfGradient}`,
    dtypes.length === DTYPES.length ? 'all' : dtypes.join(' '),
    Array.isArray(gradients) ? (zero ? '0' : 'yes') : gradients,
    notes(all),
  ].join(' | ')} |`
}

/** The opset that `OpSpec.since` counts from. */
const OLDEST = 13

const HEAD = ['op', 'what it is', 'ONNX', 'opset', 'dtypes', 'gradient', 'devices']

/** Title of each module of `src/ops`; `src/ops/index.ts` says which there are. */
const modules = [...readFileSync('src/ops/index.ts', 'utf8').matchAll(/'\.\/([\w-]+)\.ts'/g)].map(m =>
  nth(m, 1),
)

/** Functions among the ops that are none. */
const REVERSE_MODE = new Set<unknown>([ops.grad, ops.vjp])

/** The page that lists every public op. @throws Error when an op has no example or no documentation comment */
export async function opsPage(cpu: Runtime): Promise<string> {
  const sections: string[] = []
  const missing: string[] = []
  const section = async (title: string, file: string, functions: object) => {
    const source = readFileSync(file, 'utf8')
    const names = [...source.matchAll(/^export (?:const|function) (\w+)/gm)].map(m => nth(m, 1))
    const rows: string[] = []
    for (const [name, f] of names.flatMap(n => Object.entries(functions).filter(([key]) => key === n))) {
      const args = typeof f === 'function' ? exampleOf(f) : undefined
      if (args) rows.push(await row(name, { f, args }, source, cpu))
      else if (!REVERSE_MODE.has(f)) missing.push(name)
    }
    if (!rows.length) return
    const head = [`| ${HEAD.join(' | ')} |`, `|${HEAD.map(() => '---').join('|')}|`]
    sections.push([`## ${title}`, '', ...head, ...rows].join('\n'))
  }
  for (const name of modules) await section(name, `src/ops/${name}.ts`, ops)
  await section('averages', 'src/tasks/average.ts', tasks)
  await section('losses', 'src/tasks/losses.ts', tasks)
  if (missing.length) throw new Error(`no example beside ${missing.join(', ')}`)
  return `${introduction(cpu)}\n\n${sections.join('\n\n')}\n\n${importedSection()}\n`
}

const introduction = (cpu: Runtime): string => `# Ops

This page is written by \`npm run docs\` from the code; a test fails when it is out of date.

- **ONNX**: operators that a call makes, of ONNX's own domain; **opset**: the one that brought the newest of them (${OLDEST} where all
  are as old or older). Files are written for opset ${OPSETS.min} to ${OPSETS.max}.
- **dtypes**: those that onnxgrad takes and onnxruntime ${cpu.version} computes on the CPU. On WebGPU it leaves what
  reads int64 or float64 to the CPU, with a copy there and back; give indices as int32.
- **gradient**: whether there is one; every rule is a graph of these ops, so gradients of gradients exist too. At kinks and ties
  they are PyTorch's.
- **devices**: where an op or its gradient is computed otherwise. Ops without a kernel become elementary ops when the graph
  is made for a device. Float64 results and gradients are within a relative error of ${LIMIT.toExponential(0)} of PyTorch's for every op of
  \`npm run oracles\`, also where the kernel is missing.

The functions here are operators of ONNX, and compositions of them. What files of other programs may hold is [listed below](#operators-of-files).`
