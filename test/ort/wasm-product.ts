import { input } from '../../src/graph/leaf.ts'
import { matmul } from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { wasmRuntime } from '../../src/runtime/node.ts'

// A program that multiplies matrices on WASM with so many threads, and then has nothing left to do.
const N = 128
const a = Float32Array.from({ length: N * N }, (_, i) => Math.sin(i))
const runtime = await wasmRuntime(Number(process.argv[2]))
const [x, y] = [input('x', 'float32', [N, N]), input('y', 'float32', [N, N])]
const { z } = await evaluate(runtime, { z: matmul(x, y) }, { x: a, y: a })
console.log(JSON.stringify([...z!.data].slice(0, 8)))
