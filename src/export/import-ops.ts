import { UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { product } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { gelu } from '../ops/activation.ts'
import { add, maximum, minimum, mul } from '../ops/elementwise.ts'
import { expand, reshape, squeeze, transposeLast, unsqueeze } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import type { NodeReader } from './import-node.ts'
import { constantValue, tensorValue } from './import-tensor.ts'
import type { Value } from './import-value.ts'

export const computed = (t: AnyTensor): Value => ({ tensor: () => t })

/** Operators that are no primitive here, and how they are said with primitives; all in ONNX's own domain. */
export const COMPOSITES: ReadonlyMap<string, (node: NodeReader) => Value> = new Map(
  Object.entries({
    Identity: node => node.value(0),
    Dropout: node => {
      for (const name of ['seed', 'ratio']) node.attribute(name, name === 'seed' ? 'int' : 'float')
      if (node.inputs[2] && node.value(2).known?.values[0] !== 0)
        throw new UserError('dropout of a model in training is not supported')
      return node.value(0)
    },
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
    Squeeze: node => {
      const x = node.data(0)
      const ones = [...x.shape.keys()].filter(i => x.shape[i] === 1)
      return computed(squeeze(x, node.ints('axes', 1) ?? ones))
    },
    Unsqueeze: node => computed(unsqueeze(node.data(0), node.ints('axes', 1) ?? [])),
    Flatten: node => {
      const x = node.data(0)
      const axis = node.attribute('axis', 'int') ?? 1
      return computed(reshape(x, [product(x.shape.slice(0, axis)), product(x.shape.slice(axis))]))
    },
    // alpha A B + beta C, A and B transposed on request
    Gemm: node => {
      const operand = (i: number, flag: string) =>
        node.attribute(flag, 'int') ? transposeLast(node.data(i)) : node.data(i)
      const scaled = (t: AnyTensor, name: string) => {
        const factor = node.attribute(name, 'float') ?? 1
        return factor === 1 ? t : mul(t, factor)
      }
      const y = scaled(matmul(operand(0, 'transA'), operand(1, 'transB')), 'alpha')
      return computed(node.inputs[2] ? add(y, scaled(node.data(2), 'beta')) : y)
    },
    Gelu: node => {
      const approximate = node.attribute('approximate', 'string') ?? 'none'
      return computed(gelu(node.data(0), approximate === 'tanh' ? 'tanh' : 'none'))
    },
    Max: node => variadic(node, maximum),
    Min: node => variadic(node, minimum),
    Sum: node => variadic(node, add),
  } satisfies Record<string, (node: NodeReader) => Value>),
)

const variadic = (node: NodeReader, f: (a: AnyTensor, b: AnyTensor) => AnyTensor): Value =>
  computed(node.inputs.slice(1).reduce((y, _, i) => f(y, node.data(i + 1)), node.data(0)))
