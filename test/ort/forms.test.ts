import { beforeAll, describe, expect, test } from 'vitest'
import { DIMS, type Form, forms, pixels } from '../../scripts/runtimes/forms.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { OPSETS } from '../../src/export/opsets.ts'
import { readOnnx } from '../../src/export/read.ts'
import { loadOnnx } from '../../src/import/load.ts'
import type { TrainedModel } from '../../src/nn/trained.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { openPredictor } from '../../src/train/predictor.ts'

const NAMES = ['float32', 'float16', 'int8'] as const satisfies readonly Form[]
const opsets = Array.from({ length: OPSETS.max - OPSETS.min + 1 }, (_, i) => OPSETS.min + i)

let cpu: Runtime
let all: Readonly<Record<Form, TrainedModel>>
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
  all = await forms(cpu)
})

async function logitsOf(bytes: Uint8Array): Promise<number[]> {
  const p = await openPredictor(cpu, bytes)
  const { logits } = await p.run({ image: { data: pixels(), dims: DIMS } })
  await p.close()
  return Array.from(logits!.data, Number)
}

const apart = (got: readonly number[], want: readonly number[]): number =>
  Math.max(...want.map((v, i) => Math.abs(v - got[i]!))) / Math.max(...want.map(Math.abs))

/** Dtype of a parameter as a file holds it. */
const typesIn = (bytes: Uint8Array): number[] =>
  [...new Set(readOnnx(bytes, 'x').proto.graph!.initializer!.map(t => t.dataType ?? 0))].sort()

describe.each(NAMES)('a model as %s', form => {
  test.each(opsets)('computes the same at opset %i', async opset => {
    const want = await logitsOf(exportOnnx(all[form]))
    const bytes = exportOnnx(all[form], { opset })
    expect(readOnnx(bytes, 'x').opset).toBe(opset)
    expect(apart(await logitsOf(bytes), want)).toBeLessThan(form === 'float16' ? 2e-3 : 1e-5)
  })

  test.each([17, 21, 24])('is read and written again at opset %i', async opset => {
    const bytes = exportOnnx(all[form], { opset })
    const again = exportOnnx(loadOnnx(bytes, 'form.onnx'), { opset })
    expect(apart(await logitsOf(again), await logitsOf(bytes))).toBeLessThan(form === 'float16' ? 2e-3 : 1e-6)
  })
})

test('the files hold what their names say', () => {
  const [single, half, int8, int64, uint8] = [1, 10, 3, 7, 2]
  expect(typesIn(exportOnnx(all.float32))).toEqual([single, int64])
  expect(typesIn(exportOnnx(all.float16))).toEqual([single, half, int64].sort())
  expect(typesIn(exportOnnx(all.int8))).toEqual([single, uint8, int8, int64].sort())
  // Reading makes numbers of half precision single ones; integers of quantized weights stay what they are.
  expect(typesIn(exportOnnx(loadOnnx(exportOnnx(all.float16), 'x.onnx')))).toEqual([single, int64])
  expect(typesIn(exportOnnx(loadOnnx(exportOnnx(all.int8), 'x.onnx')))).toEqual(
    [single, uint8, int8, int64].sort(),
  )
})

test('the metadata name the first onnxruntime that runs the file', () => {
  const leastOf = (form: Form, opset: number) =>
    readOnnx(exportOnnx(all[form], { opset }), 'x').metadata['onnxgrad.onnxruntime']
  expect(NAMES.map(form => leastOf(form, 22))).toEqual(['1.21', '1.21', '1.21'])
  expect(NAMES.map(form => leastOf(form, 23))).toEqual(['1.23', '1.23', '1.24'])
})
