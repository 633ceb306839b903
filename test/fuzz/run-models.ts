import { decode, encode } from '../../src/export/codec.ts'
import { lower } from '../../src/export/lower.ts'
import { Model, type ValueInfoProto } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { dtypeOf, toTyped } from '../../src/export/tensor-data.ts'
import { UserError } from '../../src/graph/errors.ts'
import { allOps } from '../../src/graph/op.ts'
import { hash, type Rng, rng } from '../../src/graph/random.ts'
import { isBounded } from '../../src/import/bounded.ts'
import { graphOf } from '../../src/runtime/evaluate.ts'
import { isolatedRuntime } from '../../src/runtime/isolated-node.ts'
import type { OrtTensor, Runtime } from '../../src/runtime/session.ts'
import { fileOf, node, port, values } from '../ort/foreign.ts'
import { looping } from '../ort/looping.ts'
import { allCases } from '../ort/samples.ts'
import { corpus, expectPlain } from './fuzz.ts'
import { mutate, mutateTree, pick } from './mutate.ts'

/** What became of a file: refused before onnxruntime had it or by it, ended for its time or memory, or the end of onnxruntime. */
export type Fate = 'ran' | 'refused' | 'failed' | 'ended' | 'crashed'

/** What a model may take here; it is small. */
const LIMITS = { file: 'x.onnx', timeout: 3, memory: 2 ** 30 }
/** Elements of an input; larger ones are not made. */
const MOST_ELEMENTS = 2 ** 16
/** Every open size of an input. */
const OPEN = 2

/** Loads files and runs them as programs do that do not know them: in a process that ends when one of them ends it. */
export class Runner {
  #runtime: Runtime | undefined

  async fate(bytes: Uint8Array): Promise<Fate> {
    let loaded = false
    try {
      const { proto } = readOnnx(bytes, 'x.onnx')
      loaded = true
      this.#runtime ??= await isolatedRuntime('cpu', LIMITS)
      const session = await this.#runtime.load(bytes)
      const given = new Set(proto.graph?.initializer?.map(t => t.name))
      const inputs = (proto.graph?.input ?? []).filter(i => !given.has(i.name))
      await session.run(Object.fromEntries(inputs.map(i => [i.name ?? '', example(i)])))
      await session.close()
      return 'ran'
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      expectPlain(error.message)
      if (!loaded) return 'refused'
      const crashed = error.message.includes('the runtime crashed')
      if (!crashed && !error.message.includes('it took more than')) return 'failed'
      await this.close()
      return crashed ? 'crashed' : 'ended'
    }
  }

  async close(): Promise<void> {
    await this.#runtime?.close()
    this.#runtime = undefined
  }
}

function example({ type }: ValueInfoProto): OrtTensor {
  const dtype = dtypeOf(type?.tensorType?.elemType)
  const dims = (type?.tensorType?.shape?.dim ?? []).map(d => (d.dimParam ? OPEN : (d.dimValue ?? OPEN)))
  const size = dims.reduce((a, b) => a * b, 1)
  if (!dtype || !(size >= 0 && size <= MOST_ELEMENTS))
    throw new UserError('no example is made for this input')
  const numbers = Array.from({ length: size }, (_, i) => (i * 7) % 5)
  return { type: dtype, dims, data: toTyped(size ? numbers : [], dtype, size) }
}

/** Good models with everything that the format has: operators, weights, branches, loops, functions, sparse tensors. */
function models(): Uint8Array[] {
  const good = [...corpus('onnx')].flatMap(([name, bytes]) => (name.startsWith('good') ? [bytes] : []))
  const [x, y] = [port('x', ['n', 4]), port('y', ['n', 4])]
  const w = values('w', 'float32', [4], [1, 2, 3, 4])
  const call = { ...node('F', ['x'], 'y'), domain: 'mine' }
  const opsetImport = [
    { domain: '', version: 17 },
    { domain: 'mine', version: 1 },
  ]
  const body = [node('Relu', ['x'], 'z'), node('Neg', ['z'], 'y')]
  return [
    ...good,
    fileOf(looping(3)),
    fileOf({
      input: [x],
      output: [y],
      node: [node('Add', ['x', 'w'], 'y')],
      sparseInitializer: [{ values: w, indices: values('i', 'int64', [4], [0, 2, 4, 6]), dims: [8] }],
    }),
    encode(Model, {
      irVersion: 8,
      opsetImport,
      graph: { name: 'g', input: [x], output: [y], node: [call] },
      functions: [{ name: 'F', domain: 'mine', input: ['x'], output: ['y'], node: body, opsetImport }],
    }),
  ]
}

/** Makes files for {@link Runner}: half of them changed in their bytes, half in their numbers, names and lists. */
export function hostileModels(): (random: Rng) => Uint8Array {
  const files = corpus('onnx')
  const seeds = models()
  const ops = allCases('float32', {}).map(c => {
    const outputs = c.apply(c.inputs).outputs.map((t, i) => [`y${i}`, t] as const)
    return lower(graphOf(Object.fromEntries(outputs)), { name: c.name, opset: 21 })
  })
  const others = [
    'If',
    'Loop',
    'Scan',
    'Tile',
    'Range',
    'Resize',
    'NonZero',
    'Einsum',
    'Gemm',
    'LSTM',
    'TopK',
    'OneHot',
  ]
  const types = [...allOps().map(op => op.type), ...others]
  return random => {
    if (!random.int(3)) return mutate(files, random)
    const tree = decode(Model, pick(random.int(2) ? ops : seeds, random), 'x')
    const names = tree.graph?.node?.flatMap(n => [...(n.input ?? []), ...(n.output ?? [])]) ?? []
    mutateTree(tree, random, [...types, ...names])
    return encode(Model, tree)
  }
}

/**
 * How many of `rounds` files had which fate, and those that crash onnxruntime though their work is bounded: programs run such
 * files in their own process. (Others do crash it: onnxruntime 1.30 reads the number of a Loop's turns from a tensor without
 * elements, for one.)
 */
export async function fates(
  name: string,
  rounds: number,
): Promise<{ counts: Record<Fate, number>; crashes: string[] }> {
  const counts: Record<Fate, number> = { ran: 0, refused: 0, failed: 0, ended: 0, crashed: 0 }
  const crashes: string[] = []
  const make = hostileModels()
  const runner = new Runner()
  const { FUZZ_SEED = '0' } = process.env
  try {
    for (let i = 0; i < rounds; i++) {
      const bytes = make(rng(hash(name, FUZZ_SEED, i)))
      const fate = await runner.fate(bytes)
      counts[fate]++
      if (fate === 'crashed' && isBounded(readOnnx(bytes, 'x.onnx'), OPEN))
        crashes.push(Buffer.from(bytes).toString('base64'))
    }
  } finally {
    await runner.close()
  }
  return { counts, crashes }
}
