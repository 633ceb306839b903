/** Tests for ops of your own, in Node, under any test runner or none. */
import type { Attrs } from '../graph/attributes.ts'
import type { Given, Names } from '../graph/names.ts'
import type { Op } from '../graph/node.ts'
import type { Sample, SampleInput } from '../graph/sample.ts'
import { nodeRuntime } from '../runtime/node.ts'
import type { Runtime } from '../runtime/session.ts'
import { type Checked, checkOp as checkOn } from './check-op.ts'

export {
  type Attributes,
  bool,
  type Domain,
  f32,
  i64,
  type Sample,
  type SampleInput,
  sample,
} from '../graph/sample.ts'
export type { Checked }

/** With what an op is tested, and where. */
export interface CheckOptions<A extends Attrs = Attrs, I extends Names = Names> {
  /** Inputs and attributes to test with. @default the op's own */
  readonly samples?: readonly Sample<NoInfer<A>, Given<NoInfer<I>, SampleInput>>[]
  /** Where the op runs. @default onnxruntime-node on the CPU */
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
  options: CheckOptions<A, I> = {},
): Promise<Checked> => checkOn(op, { ...options, runtime: options.runtime ?? (await nodeRuntime('cpu')) })
