import { readFileSync } from 'node:fs'
import { decode } from '../../src/export/codec.ts'
import { Model } from '../../src/export/onnx-proto.ts'
const t = decode(Model, readFileSync(process.argv[2]!), 'x')
console.log(JSON.stringify(t.graph, (_, v) => (typeof v === 'bigint' ? `${v}n` : v instanceof Uint8Array ? `<${v.length}> ${Buffer.from(v).toString('latin1').slice(0, 30)}` : v)).slice(0, 2500))
