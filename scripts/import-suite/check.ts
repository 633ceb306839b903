import { readFileSync } from 'node:fs'
import { filesBeside } from '../../src/data/beside-node.ts'
import type { NodeProto } from '../../src/export/onnx-proto.ts'
import { type FileInfo, readOnnx } from '../../src/export/read.ts'
import { dtypeOf } from '../../src/export/tensor-data.ts'
import { messageOf, UserError } from '../../src/graph/errors.ts'
import { fromHalf } from '../../src/graph/half.ts'
import { importOnnx } from '../../src/import/import.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { run, written } from './again.ts'
import { compareWeightGradients, type GradientCheck } from './gradients.ts'
import { portsOf, type Reference, referencesOf, type Value, type Values } from './reference.ts'

/** What became of a file; `why` says more of all but equal ones. */
export interface Outcome {
  readonly kind: 'equal' | 'refused' | 'wrong' | 'excluded'
  readonly why?: string
  /** Nodes that are kept as the file has them. */
  readonly kept: number
  /** Weights whose gradients were compared, and the largest difference, relative to the largest element of each. */
  readonly gradients?: GradientCheck
}

/** Values that differ by less are equal: relative to the largest element of the output, and to each element. */
const TOLERANCE = { relative: 1e-4, each: 1e-3, half: 1e-2 } as const

const RANDOM = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
])

/** Operators on sequences of tensors, which are no tensors. */
const SEQUENCE = /Sequence|^Optional/

/** Nodes of a file and of the graphs and functions in it. */
function allNodes({ proto }: FileInfo): NodeProto[] {
  const found: NodeProto[] = []
  const visit = (nodes: readonly NodeProto[] = []) => {
    for (const n of nodes) {
      found.push(n)
      for (const a of n.attribute ?? []) for (const g of [a.g, ...(a.graphs ?? [])]) visit(g?.node)
    }
  }
  visit(proto.graph?.node)
  for (const f of proto.functions ?? []) visit(f.node)
  return found
}

/** Why a file is not counted; undefined for one that is. */
function excluded(info: FileInfo): string | undefined {
  const ports = [...portsOf(info), ...(info.proto.graph?.output ?? [])]
  for (const { type } of ports) {
    if (!type?.tensorType) return 'inputs or outputs that are no tensors'
    const code = type.tensorType.elemType
    if (!dtypeOf(code) && code !== 16) return `inputs or outputs of element type ${code}`
  }
  const isRandom = ({ opType = '', input = [] }: NodeProto) =>
    RANDOM.has(opType) || (opType === 'Dropout' && input.length > 2)
  const random = allNodes(info).find(isRandom)
  if (random) return `random numbers (${random.opType})`
  return allNodes(info).some(n => SEQUENCE.test(n.opType ?? '')) ? 'sequences of tensors' : undefined
}

/** Half precision of a file as the float32 that it is imported as. */
const widened = ({ dtype, dims, data }: Value): Value =>
  dtype === 'float16' && data instanceof Uint16Array
    ? { dtype: 'float32', dims, data: Float32Array.from(data, fromHalf) }
    : { dtype, dims, data }

/** Whether the runtime runs the file itself. */
const runs = (runtime: Runtime, { bytes }: FileInfo, reference: Reference | undefined): Promise<boolean> =>
  run(runtime, bytes, reference?.inputs ?? {}).then(
    () => true,
    () => false,
  )

const LOWEST = -3.4e38

/** How an output differs from what it should be; undefined where it does not. */
function difference(name: string, got: Value | undefined, want: Value, half: boolean): string | undefined {
  if (!got) return `output ${name} is missing`
  const [w, g] = [widened(want), widened(got)]
  if (g.dtype !== w.dtype || g.dims.join() !== w.dims.join())
    return `output ${name} is ${g.dtype} [${g.dims.join()}], not ${w.dtype} [${w.dims.join()}]`
  const values = Array.from(w.data, Number)
  const scale = values.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 1e-6)
  let worst = 0
  Array.from(g.data, Number).forEach((v, i) => {
    const x = values[i] ?? Number.NaN
    // onnxruntime writes the lowest float for a score that is masked.
    if (Object.is(v, x) || v === x || (v <= LOWEST && x <= LOWEST)) return
    const off = Math.abs(v - x)
    const share = Math.min(off / scale / TOLERANCE.relative, off / Math.abs(x) / TOLERANCE.each)
    worst = Math.max(worst, Number.isNaN(share) ? Number.POSITIVE_INFINITY : share)
  })
  const limit = half ? TOLERANCE.half / TOLERANCE.relative : 1
  return worst > limit ? `output ${name} differs by ${worst.toPrecision(3)} times the tolerance` : undefined
}

/** Reads a file, runs it and what is written of it, and compares. */
export async function checkFile(runtime: Runtime, file: string): Promise<Outcome> {
  const bytes = readFileSync(file)
  let info: FileInfo
  try {
    info = readOnnx(bytes, file, { external: filesBeside(file) })
  } catch (error) {
    return { kind: 'refused', why: shortened(error, file), kept: 0 }
  }
  const out = excluded(info)
  if (out) return { kind: 'excluded', why: out, kept: 0 }
  const references = referencesOf(file, info)
  let wanted: readonly (Reference & { readonly outputs: Values })[]
  try {
    wanted = await Promise.all(
      references.map(async r => ({ ...r, outputs: r.outputs ?? (await run(runtime, info.bytes, r.inputs)) })),
    )
  } catch (error) {
    return {
      kind: 'excluded',
      why: `onnxruntime does not run it: ${messageOf(error).slice(0, 120)}`,
      kept: 0,
    }
  }
  try {
    const imported = importOnnx(info, file)
    const again = written(imported, info)
    const half = allNodes(info).length > 0 && isHalf(info)
    for (const { inputs, outputs } of wanted) {
      const wide = Object.fromEntries(Object.entries(inputs).map(([name, v]) => [name, widened(v)]))
      const got = await run(runtime, again, wide).catch((error: unknown) => messageOf(error))
      if (typeof got === 'string' && !(await runs(runtime, info, references[0])))
        return { kind: 'excluded', why: 'onnxruntime does not run it', kept: 0 }
      if (typeof got === 'string')
        return { kind: 'wrong', why: `does not run: ${got.slice(0, 200)}`, kept: imported.kept.length }
      let expected: Values = outputs
      if (Object.entries(outputs).some(([name, want]) => difference(name, got[name], want, half)))
        // Where the runtime itself gives something else than what is stored, that counts.
        expected = await run(runtime, info.bytes, inputs).catch(() => outputs)
      for (const [name, want] of Object.entries(expected)) {
        const fault = difference(name, got[name], want, half)
        if (fault) return { kind: 'wrong', why: fault, kept: imported.kept.length }
      }
    }
    const [first] = wanted
    const gradients =
      first?.gradients && Object.keys(first.gradients).length
        ? await compareWeightGradients(runtime, imported, first.inputs, first.gradients)
        : undefined
    return { kind: 'equal', kept: imported.kept.length, ...(gradients ? { gradients } : {}) }
  } catch (error) {
    if (error instanceof UserError) return { kind: 'refused', why: shortened(error, file), kept: 0 }
    return { kind: 'wrong', why: messageOf(error), kept: 0 }
  }
}

const HALF = new Set([10, 16])
/** Whether a file computes in half precision, which is less exact than what it is compared with. */
const isHalf = ({ proto }: FileInfo): boolean =>
  [...(proto.graph?.input ?? []), ...(proto.graph?.output ?? [])].some(v =>
    HALF.has(v.type?.tensorType?.elemType ?? 0),
  ) || (proto.graph?.initializer ?? []).some(t => HALF.has(t.dataType ?? 0))

/** A message without the file's path. */
const shortened = (error: unknown, file: string): string =>
  messageOf(error).replaceAll(`${file}: `, '').replaceAll(file, '')
