import { describe, expect, test } from 'vitest'
import { type Graph, nodesOf } from '../../../src/graph/graph.ts'
import { constant, input, parameter, parameterAttrs, sizeOf } from '../../../src/graph/leaf.ts'
import { print } from '../../../src/graph/print.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import { add, cast, erf, layerNorm, mul, relu, sum } from '../../../src/ops/index.ts'
import { decompose } from '../../../src/passes/decompose.ts'
import { withDType } from '../../../src/passes/float64.ts'

describe('decompose', () => {
  const x: AnyTensor = input('x', 'float64', [2, 8])
  const g: AnyTensor = input('g', 'float64', [8])
  const graph = { inputs: { x, g }, parameters: {}, outputs: { y: layerNorm(erf(x), g, g), z: relu(x) } }
  const types = (of: Graph) => new Set(nodesOf(of).map(n => n.op.type))

  const lacking = (lacks: (op: string) => boolean) => ({ name: 'nowhere', contrib: true, lacks })

  test('leaves what the target has', () => {
    expect(
      decompose(
        graph,
        lacking(() => false),
      ).outputs,
    ).toEqual(graph.outputs)
  })

  test('replaces only what the target lacks', () => {
    const made = decompose(
      graph,
      lacking(op => op === 'LayerNormalization'),
    )
    expect(types(made)).toContain('Erf')
    expect(types(made)).not.toContain('LayerNormalization')
    expect(made.outputs.y!.shape).toEqual([2, 8])
    expect(made.outputs.z).toBe(graph.outputs.z)
  })

  test('says which op cannot be had', () => {
    expect(() =>
      decompose(
        graph,
        lacking(op => op === 'Relu'),
      ),
    ).toThrowErrorMatchingInlineSnapshot(
      `[UserError: Relu of float64 does not run on this target; compute it in another dtype]`,
    )
  })
})

describe('withDType', () => {
  test('changes inputs, parameters, constants, sizes and casts, and nothing else', () => {
    const x: AnyTensor = input('x', 'float32', ['batch', 3])
    const i: AnyTensor = input('i', 'int32', [3])
    const w = parameter([3], { kind: 'normal', std: 1 }, { decay: false })
    const y = add(mul(x, w), mul(cast(i, 'float32'), constant([0.1, 0.2, 0.3], 'float32', [3])))
    const mean = mul(sum(y), sizeOf('batch', 'float32'))
    const graph = { inputs: { x, i }, parameters: { w }, outputs: { mean } }
    const doubled = withDType(graph, 'float32', 'float64')
    expect(print(doubled)).toMatchInlineSnapshot(`
      "input x:f64[batch,3]
      input i:i32[3]
      parameter w:f64[3]
      v0:f64[batch,3] = Mul(x, w)
      v1:f64[3] = Cast(i) {to=float64}
      v2:f64[3] = Mul(v1, [0.1,0.2,0.3]:f64[3])
      v3:f64[batch,3] = Add(v0, v2)
      v4:f64[] = ReduceSum(v3) {axes=[0,1] keepdims=false}
      v5:f64[] = Mul(v4, #batch)
      return mean=v5"
    `)
    expect(parameterAttrs(doubled.parameters.w!)).toEqual({ ...parameterAttrs(w), dtype: 'float64' })
    expect(print(withDType(doubled, 'float64', 'float32'))).toBe(print(graph))
  })

  test('a constant is not rounded on the way', () => {
    const y = mul(input('x', 'float32', []), 0.1)
    const { outputs } = withDType({ inputs: {}, parameters: {}, outputs: { y } }, 'float32', 'float64')
    const [, tenth] = outputs.y!.node.inputs
    expect(tenth!.node.attrs.data).toEqual(Float64Array.of(0.1))
  })

  test('an input that nothing reads is renewed too', () => {
    const graph = { inputs: { x: input('x', 'float32', [2]) }, parameters: {}, outputs: {} }
    expect(withDType(graph, 'float32', 'float64').inputs.x!.dtype).toBe('float64')
  })
})
