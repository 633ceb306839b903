import { UserError } from '../../graph/errors.ts'
import { constant } from '../../graph/leaf.ts'
import { expand, reshape } from '../../ops/layout.ts'
import type { Operators } from '../operator.ts'
import { constantValue, tensorValue } from '../tensor.ts'

/** Operators that name a value or hold one. */
export const VALUES: Operators = {
  Identity: node => node.value(0),
  Constant: node => {
    const [int, float] = [node.attribute('value_int', 'int64'), node.attribute('value_float', 'float')]
    const [ints, floats] = [node.attribute('value_ints', 'int64s'), node.attribute('value_floats', 'floats')]
    if (int !== undefined) return constantValue([int], 'int64', [])
    if (ints) return constantValue(ints, 'int64', [ints.length])
    if (float !== undefined) return constantValue([float], 'float32', [])
    if (floats) return constantValue(floats, 'float32', [floats.length])
    const value = node.attribute('value', 'tensor')
    if (!value) throw new UserError('its value must be value, value_int(s) or value_float(s)')
    return tensorValue(value)
  },
  ConstantOfShape: node => {
    const value = node.attribute('value', 'tensor')
    const filler = value ? tensorValue(value).tensor() : constant(0, 'float32', [])
    return expand(reshape(filler, []), node.dims(0))
  },
}
