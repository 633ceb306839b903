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
      if (i > 1) continue
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

import type { AttributeProto } from '../../src/export/onnx-proto.ts'
const part = Number(process.argv[2]), of = Number(process.argv[3]), only = process.argv[4]
const V = [0, -1, 1, 2, 3, 65, 1e6 + 1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 40, 2 ** 53, -(2 ** 62)]
const SV = [0, -1, 2, 5, 64, 1e6 + 1, 2 ** 40]
const seen = new Map<string, number>()
let rounds = 0, read = 0
function* variants(file: Uint8Array): Generator<[string, Uint8Array]> {
  const fresh = () => decode(Model, file, 'x')
  const t0 = fresh()
  const nodes = t0.graph?.node ?? []
  const emit = (what: string, change: (t: any) => void): [string, Uint8Array] => { const t: any = fresh(); for (const p of t.graph.input ?? []) if (p.type?.tensorType) (p.type.tensorType.shape ??= {}).dim ??= []; for (const n of t.graph.node) { n.input ??= []; n.output ??= [] } change(t); return [what, encode(Model, t)] }
  for (const [ni, n] of nodes.entries()) {
    for (const [ai, a] of (n.attribute ?? []).entries()) {
      yield emit(`del ${a.name}`, t => t.graph.node[ni].attribute.splice(ai, 1))
      if (a.i !== undefined || a.type === 2) for (const v of V) yield emit(`${a.name}=${v}`, t => { t.graph.node[ni].attribute[ai].i = v })
      if (a.type === 1) for (const v of [0, -1, 1e30, -1e30, NaN, Infinity, 1e-40]) yield emit(`${a.name}=${v}`, t => { t.graph.node[ni].attribute[ai].f = v })
      for (const list of ['ints', 'floats', 'strings']) {
        const l = (a as any)[list] ?? []
        if (!l.length && a.type !== (list === 'ints' ? 7 : list === 'floats' ? 6 : 8)) continue
        yield emit(`${a.name}=[]`, t => { t.graph.node[ni].attribute[ai][list] = [] })
        if (l.length) {
          yield emit(`${a.name} longer`, t => { t.graph.node[ni].attribute[ai][list].push(l[0]) })
          yield emit(`${a.name} shorter`, t => { t.graph.node[ni].attribute[ai][list].pop() })
          yield emit(`${a.name} x1000`, t => { t.graph.node[ni].attribute[ai][list] = Array(1000).fill(l[0]) })
        }
        if (list !== 'strings') {
          for (const v of list === 'ints' ? V : [0, -1, 1e30, NaN, 1e-40, 1e6, 2 ** 31]) {
            if (l.length) yield emit(`${a.name}[0]=${v}`, t => { t.graph.node[ni].attribute[ai][list][0] = v })
            if (l.length > 1) yield emit(`${a.name}[-1]=${v}`, t => { t.graph.node[ni].attribute[ai][list][l.length - 1] = v })
            if (l.length) yield emit(`${a.name}[*]=${v}`, t => { t.graph.node[ni].attribute[ai][list].fill(v) })
          }
        }
      }
      if (a.t) {
        const d = a.t as any
        const raw: Uint8Array = d.rawData ?? new Uint8Array()
        const size = ({ 7: 8, 1: 4, 6: 4, 11: 8, 13: 8, 12: 4 } as any)[d.dataType]
        if (size) {
          const count = raw.length / size
          const put = (b: Buffer, k: number, v: number) => d.dataType === 1 ? b.writeFloatLE(v, k * 4) : d.dataType === 11 ? b.writeDoubleLE(v, k * 8) : size === 8 ? b.writeBigInt64LE(BigInt(v), k * 8) : b.writeInt32LE(v | 0, k * 4)
          for (const v of V) {
            if (d.dataType === 13) continue
            for (const ks of count > 1 ? [[0], [count - 1], [...Array(count).keys()]] : count ? [[0]] : [])
              yield emit(`const${ni}[${ks[0]}..${ks.length}]=${v}`, t => { const b = Buffer.from(raw); for (const k of ks) put(b, k, v); t.graph.node[ni].attribute[ai].t.rawData = b })
          }
          yield emit(`const${ni} []`, t => { const p = t.graph.node[ni].attribute[ai].t; p.dims = [0]; p.rawData = new Uint8Array() })
          yield emit(`const${ni} scalar`, t => { const p = t.graph.node[ni].attribute[ai].t; p.dims = []; p.rawData = raw.slice(0, size) })
          yield emit(`const${ni} longer`, t => { const p = t.graph.node[ni].attribute[ai].t; p.dims = [count + 1]; p.rawData = Buffer.concat([raw, raw.slice(0, size)]) })
          yield emit(`const${ni} shorter`, t => { const p = t.graph.node[ni].attribute[ai].t; if (count) { p.dims = [count - 1]; p.rawData = raw.slice(size) } })
          yield emit(`const${ni} x1000`, t => { const p = t.graph.node[ni].attribute[ai].t; p.dims = [1000]; p.rawData = Buffer.concat(Array(1000).fill(raw.slice(0, size))) })
        }
        for (const v of [1, 2, 7, 9, 10, 11, 13]) yield emit(`const${ni} dtype ${v}`, t => {
          const p = t.graph.node[ni].attribute[ai].t
          const c = (p.dims ?? []).reduce((a: number, b: number) => a * b, 1), s = ({ 1: 4, 2: 1, 7: 8, 9: 1, 10: 2, 11: 8, 13: 8 } as any)[v]
          p.dataType = v; p.rawData = new Uint8Array(c * s)
        })
      }
      if (a.name === 'equation') for (const e of ['', '->', ',', '...', 'ii', 'i'.repeat(500), '...,...', 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', 'i->ii', 'i,i,i->i', 'a->b->c', '..', '->i'])
        yield emit(`equation ${e.slice(0, 10)}`, t => { t.graph.node[ni].attribute[ai].s = Buffer.from(e) })
      if (a.s && a.type === 3) for (const e of ['', 'constructor', '__proto__'])
        yield emit(`${a.name}='${e}'`, t => { t.graph.node[ni].attribute[ai].s = Buffer.from(e) })
    }
    for (const [ii] of (n.input ?? []).entries()) {
      yield emit(`no input ${ii}`, t => { t.graph.node[ni].input[ii] = '' })
      yield emit(`cut input ${ii}`, t => { t.graph.node[ni].input.splice(ii) })
      yield emit(`input ${ii} is 0`, t => { t.graph.node[ni].input[ii] = t.graph.node[ni].input[0] })
    }
    yield emit('more inputs', t => { t.graph.node[ni].input.push(...t.graph.node[ni].input) })
    yield emit('more inputs', t => { for (let k = 0; k < 12; k++) t.graph.node[ni].input.push(t.graph.node[ni].input[0]) })
    yield emit('no outputs', t => { t.graph.node[ni].output = [] })
    yield emit('9 outputs', t => { for (let k = 0; k < 9; k++) t.graph.node[ni].output.push(`z${k}`) })
  }
  for (const v of [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 19, 25, 1000]) yield emit(`opset ${v}`, t => { t.opsetImport[0].version = v })
  for (const [ii, p] of (t0.graph?.input ?? []).entries()) {
    const dims: any[] = p.type?.tensorType?.shape?.dim ?? []
    for (const [di] of dims.entries()) for (const v of [0, 1, 2, 7, 1e6, 2 ** 31, 2 ** 40, 's', '2*s', '?'])
      yield emit(`x${ii} dim ${di}=${v}`, t => { t.graph.input[ii].type.tensorType.shape.dim[di] = v === '?' ? {} : typeof v === 'string' ? { dimParam: v } : { dimValue: v } })
    yield emit(`x${ii} syms`, t => { t.graph.input[ii].type.tensorType.shape ??= {}; t.graph.input[ii].type.tensorType.shape.dim = dims.map((_, k) => ({ dimParam: `s${k}` })) })
    yield emit(`x${ii} unknown`, t => { t.graph.input[ii].type.tensorType.shape ??= {}; t.graph.input[ii].type.tensorType.shape.dim = dims.map(() => ({})) })
    for (const v of [0, 1, 2, 3, 5, 9, 30, 60]) yield emit(`x${ii} rank ${v}`, t => { t.graph.input[ii].type.tensorType.shape ??= {}; t.graph.input[ii].type.tensorType.shape.dim = Array.from({ length: v }, (_, k) => dims[k] ?? { dimValue: 1 }) })
    for (const v of [1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 8]) yield emit(`x${ii} dtype ${v}`, t => { t.graph.input[ii].type.tensorType.elemType = v })
  }
  if (t0.graph?.input?.length) {
    yield emit(`all unknown`, t => { for (const p of t.graph.input) p.type.tensorType.shape.dim = (p.type.tensorType.shape?.dim ?? []).map(() => ({})) })
    yield emit(`all syms`, t => { for (const p of t.graph.input) p.type.tensorType.shape.dim = (p.type.tensorType.shape?.dim ?? []).map((_: any, k: number) => ({ dimParam: `s${k}` })) })
    yield emit(`all zero`, t => { for (const p of t.graph.input) p.type.tensorType.shape.dim = (p.type.tensorType.shape?.dim ?? []).map(() => ({ dimValue: 0 })) })
    for (const v of [0, 1, 2, 3, 4, 5, 6, 60]) yield emit(`all rank ${v}`, t => { for (const p of t.graph.input) p.type.tensorType.shape.dim = Array.from({ length: v }, (_, k) => p.type.tensorType.shape.dim[k] ?? { dimValue: 1 }) })
    for (const v of [7, 9, 11, 3]) yield emit(`all dtype ${v}`, t => { for (const p of t.graph.input) p.type.tensorType.elemType = v })
  }
}
const check = (e: any) => {
  if (!(e instanceof UserError)) throw e
  if (e.message.length > 1000 || /\p{Cc}/u.test(e.message)) throw new Error('not plain: ' + e.message.slice(0, 200))
}
for (const [fi, [type, file]] of files.entries()) {
  if (fi < Number(process.argv[5] ?? 0) || fi % of !== part || (only && !new RegExp(only).test(type))) continue
  for (const [what, bytes] of variants(file)) {
    rounds++
    writeFileSync(`/tmp/h1/cur-${part}.onnx`, bytes)
    const before = process.cpuUsage(), mem = process.resourceUsage().maxRSS
    let key = ''
    try {
      const info = readOnnx(bytes, 'x.onnx')
      const s = fileSubject('x.onnx', info, buildModel)
      s.listing()
      if (s.graph) {
        const { graph, weights } = importOnnx(info, 'x.onnx')
        summarize(graph)
        try { lower(graph, { name: 'again', opset: 21, weights: name => weights.get(name)!.data }) } catch (e) { check(e) }
        read++
      } else check(new UserError(s.reason ?? ''))
    } catch (e: any) {
      try { check(e) } catch (e: any) { key = `${e.constructor.name}: ${e.message.slice(0, 150)} @ ${((e.stack ?? '').split('\n').filter((l: string) => l.includes(' at ')).slice(0, 4).map((l: string) => l.trim().replace(/.*h1\//, '').replace(/\)$/, '')).join(' < '))}` }
    }
    const { user, system } = process.cpuUsage(before)
    if (user + system > 5e5) key = `took ${(user + system) / 1e6}`
    const grown = (process.resourceUsage().maxRSS - mem) / 1024
    if (grown > 150) key = `grew ${grown}`
    if (key) {
      const k = key.replace(/\d+/g, '#') + (/^took|^grew/.test(key) ? type : '')
      const c = (seen.get(k) ?? 0) + 1
      seen.set(k, c)
      if (c <= 2) { writeFileSync(`/tmp/h1/s-${part}-${rounds}.onnx`, bytes); console.log(`${part}-${rounds}`, type, what, key) }
    }
  }
  writeFileSync(`/tmp/h1/prog-${part}`, `${fi}/${files.length} ${type} ${rounds} ${read}\n`)
}
console.log('rounds', rounds, 'read', read)
for (const [k, c] of seen) console.log(c, k)
