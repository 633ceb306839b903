/** Tests for ops of your own, in Node, under any test runner or none. */
import type { Attrs } from '../graph/attributes.ts'
import type { Names } from '../graph/names.ts'
import type { Op } from '../graph/node.ts'
import { nodeRuntime } from '../runtime/node.ts'
import type { Runtime } from '../runtime/session.ts'
import { type Checked, type CheckOptions, checkOp as checkOn } from './check-op.ts'

export { bool, f32, i64, type Sample, type SampleInput, sample } from '../graph/sample.ts'
export type { Checked }

export interface NodeCheckOptions<A extends Attrs = Attrs, I extends Names = Names>
  extends Omit<CheckOptions<A, I>, 'runtime'> {
  /** @default onnxruntime-node on the CPU */
  readonly runtime?: Runtime
}

/**
 * Tests an op on samples: the inferred dtypes and shapes are those that the runtime computes; the gradient rule agrees with
 * central differences along random directions, in double precision where there are kernels for it; `decompose`, `training`
 * and `narrow` compute what the op does; `along` holds; a file that has the op is read as it was written.
 * @returns what was checked
 * @throws Error with a line for each fault
 */
export const checkOp = async <A extends Attrs, I extends Names, O extends Names>(
  op: Op<A, I, O>,
  options: NodeCheckOptions<A, I> = {},
): Promise<Checked> => checkOn(op, { ...options, runtime: options.runtime ?? (await nodeRuntime('cpu')) })
