import { readdirSync, writeFileSync } from 'node:fs'
import { buildModel } from '../../models/index.ts'
import { decode, encode } from '../../src/export/codec.ts'
import { lower } from '../../src/export/lower.ts'
import { Model } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { DATA_TYPE } from '../../src/export/tensor-data.ts'
import { UserError } from '../../src/graph/errors.ts'
import { hash, rng } from '../../src/graph/random.ts'
import { allOps } from '../../src/graph/op.ts'
import { summarize } from '../../src/graph/summary.ts'
import { importOnnx, surveyOnnx } from '../../src/import/import.ts'
import { OPERATORS } from '../../src/import/operators/index.ts'
import { fileSubject } from '../../src/report/subject.ts'
import { fileOfSample } from '../import/sample.ts'
import { mutateTree, pick } from './mutate.ts'

const files: [string, Uint8Array][] = []
for (const file of readdirSync('test/import/samples').sort()) {
  const module: any = await import(`../import/samples/${file}`)
  for (const [type, all] of Object.entries(module.samples) as any)
    for (const [i, s] of all.entries()) {
      const bytes = fileOfSample(type, s)
      files.push([type, bytes])
      if (i % 2) {
        const tree = decode(Model, bytes, 'x')
        const { outputs } = importOnnx(readOnnx(bytes, 'x.onnx'), 'x.onnx').graph
        for (const port of tree.graph?.output ?? []) {
          const t: any = outputs[port.name ?? '']
          if (t) port.type = { tensorType: { elemType: (DATA_TYPE as any)[t.dtype], shape: { dim: t.shape.map((d: any) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d })) } } }
        }
        files.push([type, encode(Model, tree)])
      }
    }
}
const types = [...new Set([...allOps().map(op => op.type), ...Object.values(OPERATORS).flatMap(o => Object.keys(o)), 'Shape', 'Size', 'Loop', 'Scan', 'If'])]
const seed = process.argv[2]!
const end = Date.now() + Number(process.argv[3]) * 1000
const seen = new Map<string, number>()
let n = 0, read = 0
for (; Date.now() < end; n++) {
  const random = rng(hash('many', seed, n))
  const [type, file] = pick(files, random)
  const tree = decode(Model, file, 'x')
  const names = tree.graph?.node?.flatMap(n => [...(n.input ?? []), ...(n.output ?? [])]) ?? []
  mutateTree(tree, random, [...(random.int(3) ? [] : types), ...names])
  const bytes = encode(Model, tree)
  writeFileSync(`/tmp/h1/current-${seed}.onnx`, bytes)
  const before = process.cpuUsage(), mem = process.resourceUsage().maxRSS
  let key = ''
  const check = (e: any) => {
    if (!(e instanceof UserError)) throw e
    if (e.message.length > 1000 || /\p{Cc}/u.test(e.message)) throw new Error('not plain: ' + e.message.slice(0, 200))
  }
  try {
    const info = readOnnx(bytes, 'x.onnx')
    const s = fileSubject('x.onnx', info, buildModel)
    s.listing()
    const { graph, weights } = importOnnx(info, 'x.onnx')
    summarize(graph)
    try { lower(graph, { name: 'again', opset: 21, weights: name => weights.get(name)!.data }) } catch (e) { check(e) }
    read++
  } catch (e: any) {
    try { check(e) } catch (e: any) { key = `${type}: ${e.constructor.name}: ${e.message.slice(0, 150)} @ ${(e.stack.split('\n').slice(1, 5).map((l: string) => l.trim().replace(/.*h1\//, '').replace(/\)$/, '')).join(' < '))}` }
  }
  const { user, system } = process.cpuUsage(before)
  if (user + system > 7e5) key = `${type}: took ${(user + system) / 1e6}`
  const grown = (process.resourceUsage().maxRSS - mem) / 1024
  if (grown > 200) key = `${type}: grew ${grown}`
  if (key) {
    const k = key.replace(/\d+/g, '#').replace(/^\S+ /, '')
    const c = (seen.get(k) ?? 0) + 1
    seen.set(k, c)
    if (c <= 2) { writeFileSync(`/tmp/h1/f-${seed}-${n}.onnx`, bytes); console.log(n, key) }
  }
}
console.log('rounds', n, 'read', read)
for (const [k, c] of seen) console.log(c, k)
