import { UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { expand, reshape } from '../ops/layout.ts'
import type { NodeReader } from './import-node.ts'
import { constantValue, tensorValue } from './import-tensor.ts'
import type { Value } from './import-value.ts'

export const computed = (t: AnyTensor): Value => ({ tensor: () => t })

/** Operators of ONNX's own domain that name a value or hold one; all others are declared in src/ops. */
export const VALUES: ReadonlyMap<string, (node: NodeReader) => Value> = new Map(
  Object.entries({
    Identity: node => node.value(0),
    Constant: node => {
      const [int, float] = [node.attribute('value_int', 'int64'), node.attribute('value_float', 'float')]
      const ints = node.attribute('value_ints', 'int64s')
      if (int !== undefined) return constantValue([int], 'int64', [])
      if (ints) return constantValue(ints, 'int64', [ints.length])
      if (float !== undefined) return constantValue([float], 'float32', [])
      const value = node.attribute('value', 'tensor')
      if (!value) throw new UserError('its value must be value, value_int, value_ints or value_float')
      return tensorValue(value)
    },
    ConstantOfShape: node => {
      const value = node.attribute('value', 'tensor')
      const filler = value ? tensorValue(value).tensor() : constant(0, 'float32', [])
      return computed(expand(reshape(filler, []), node.dims(0)))
    },
  } satisfies Record<string, (node: NodeReader) => Value>),
)
