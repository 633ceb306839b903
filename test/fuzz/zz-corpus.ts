import { readFileSync, readdirSync } from 'node:fs'
import { buildModel } from '../../models/index.ts'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { summarize } from '../../src/graph/summary.ts'
import { importOnnx } from '../../src/import/import.ts'
import { fileSubject } from '../../src/report/subject.ts'
for (const n of readdirSync('test/fuzz/corpus/onnx')) {
  if (process.argv[2] && !n.includes(process.argv[2])) continue
  const ts: number[] = []; let last = process.cpuUsage(); const m = process.resourceUsage().maxRSS
  const lap = () => { const u = process.cpuUsage(last); last = process.cpuUsage(); ts.push(Math.round((u.user + u.system) / 1000)) }
  let said = 'read'
  try {
    const i = readOnnx(readFileSync('test/fuzz/corpus/onnx/' + n), 'x.onnx'); lap()
    fileSubject('x.onnx', i, buildModel).listing(); lap()
    const r = importOnnx(i, 'x.onnx'); lap()
    summarize(r.graph); lap()
    try { lower(r.graph, { name: 'again', opset: 21, weights: name => r.weights.get(name)!.data }); } catch (e: any) { said = 'lower: ' + e.constructor.name + e.message } lap()
  } catch (e: any) { lap(); said = e.constructor.name + ': ' + e.message }
  const grown = Math.round((process.resourceUsage().maxRSS - m) / 1024)
  if (ts.reduce((a, b) => a + b, 0) > 300 || grown > 60 || !/^(Shape|User)?Error|^Unsupp|^read/.test(said) || process.argv[2] || !readFileSync('test/fuzz/onnx.test.ts', 'utf8').includes(n + ' ')) console.log(n, ts.join(' '), grown, said.slice(0, 250))
}
