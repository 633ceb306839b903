// Custom operators: one from ONNX, one from onnxruntime, and one that no runtime has; tested, trained, exported.
//
//   npx tsx examples/custom-op.ts [wave.onnx]

import { adamW, attr, linear, model, op, ops, regression, rng, save, train } from 'onnxgrad/node'
import { checkOp, f32, sample } from 'onnxgrad/testing'

// An operator of ONNX that onnxgrad does not have: its type rule, and d atan(x) = dx / (1 + x²).
const Atan = op('Atan', {
  inputs: ['input'],
  infer: ([x]) => [x],
  vjp: ({ x: [x], dy }) => [ops.div(dy, ops.add(ops.mul(x, x), 1))],
})

// An operator of onnxruntime's own, y = x σ(α x). Where it has no kernel, `decompose` takes its place.
const QuickGelu = op('QuickGelu', {
  domain: 'com.microsoft',
  inputs: ['X'],
  attrs: { alpha: attr.float({ default: 1.702 }) },
  infer: ([x]) => [x],
  vjp: ({ x: [x], y: [y], dy, attrs: { alpha } }) => {
    const gate = ops.sigmoid(ops.mul(x, alpha))
    return [ops.mul(dy, ops.add(gate, ops.mul(ops.sub(y, ops.mul(y, gate)), alpha)))]
  },
  decompose: ([x], { alpha }) => [ops.mul(x, ops.sigmoid(ops.mul(x, alpha)))],
  lacks: ({ dtype }) => dtype !== 'float32',
})

// An op in a custom domain, relu(x)², with a gradient that is cheaper than that of its parts. No runtime has it: it
// always runs and is exported as its decomposition. Without its own gradient, a plain function would do.
const SquaredRelu = op('SquaredRelu', {
  domain: 'example',
  inputs: ['X'],
  infer: ([x]) => [x],
  vjp: ({ x: [x], dy }) => [ops.mul(dy, ops.mul(ops.relu(x), 2))],
  decompose: ([x]) => [ops.mul(ops.relu(x), ops.relu(x))],
})

await checkOp(Atan, { samples: [sample(f32(3, 4)), sample(f32(5))] })
await checkOp(QuickGelu, { samples: [sample(f32(3, 4), { alpha: 1.5 })] })
await checkOp(SquaredRelu, { samples: [sample(f32(3, 4))] })

const net = model({
  name: 'wave',
  inputs: { x: { shape: [1] } },
  layers: { a: linear(1, 32), b: linear(32, 32), out: linear(32, 1) },
  forward: (self, { x }) => {
    const h = self.b(Atan.apply([self.a(x)]))
    return { y: self.out(ops.add(QuickGelu.apply([h], { alpha: 1.702 }), SquaredRelu.apply([h]))) }
  },
})
const random = rng(1)
const x = Array.from({ length: 2000 }, () => [4 * random.uniform() - 2] as const)
const data = { x, y: x.map(([v]) => [Math.sin(3 * v)]) }
const run = await train(net, { task: regression(), data, epochs: 30, optimizer: adamW({ lr: 5e-3 }) })
if (process.argv[2]) await save(run.model, process.argv[2])
console.log(`mean squared error ${run.train?.loss.toFixed(5)}`)
