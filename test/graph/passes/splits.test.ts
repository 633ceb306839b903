import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { joinSlices } from '../../../src/passes/slices.ts'
import { SPLITS } from './examples.ts'

test('slices without gap or overlap become one split', () => {
  expect(print(joinSlices(SPLITS[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,6]
    v0:f32[2,4], v1:f32[2,2] = Split(x) {axis=1 sizes=[4,2]}
    v2:f32[1,6] = Slice(x) {starts=[0] ends=[1] axes=[0] steps=[1]}
    return last=v1, first=v0, row=v2"
  `)
})
