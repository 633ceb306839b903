import { lower } from '../../src/export/lower.ts'
import { OPSETS } from '../../src/export/opsets.ts'
import type { FileInfo } from '../../src/export/read.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { lookup } from '../../src/graph/present.ts'
import type { Imported } from '../../src/import/import.ts'
import { resolved } from '../../src/ops/mode.ts'
import { forOpset } from '../../src/passes/decompose.ts'
import type { OrtTensors, Runtime } from '../../src/runtime/session.ts'
import type { Value, Values } from './reference.ts'

/** The opset that a file is written with again. */
const writtenOpset = ({ opset }: FileInfo): number => Math.min(Math.max(opset, OPSETS.min), OPSETS.max)

/** An imported file, written again. */
export function written({ graph, weights }: Imported, info: FileInfo): Uint8Array {
  const opset = writtenOpset(info)
  const plain: Graph = forOpset(resolved(graph), opset, true)
  return lower(plain, { name: 'again', opset, weights: name => lookup(weights, name).data })
}

/** Outputs of a file, by name; inputs that it does not have are left out. */
export async function run(runtime: Runtime, bytes: Uint8Array, inputs: Values): Promise<Values> {
  const session = await runtime.load(bytes, { optimize: 'disabled' })
  try {
    const feeds: OrtTensors = Object.fromEntries(
      Object.entries(inputs)
        .filter(([name]) => session.inputs?.includes(name) ?? true)
        .map(([name, { dtype, dims, data }]) => [name, runtime.tensor(dtype, data, dims)]),
    )
    const got = await session.run(feeds)
    return Object.fromEntries(
      Object.entries(got).map(([name, t]) => [
        name,
        { dtype: t.type, dims: t.dims, data: t.data.slice() } as Value,
      ]),
    )
  } finally {
    await session.close()
  }
}
