import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { transposeByProduct } from '../../../src/passes/transpose-product.ts'
import { TRANSPOSE } from './examples.ts'

test('short rows are brought to the front by a product with the identity', () => {
  expect(print(transposeByProduct(TRANSPOSE[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,3,5,4]
    v0:f32[6,5,4] = Reshape(x) {shape=[6,5,4]}
    v1:f32[5,6,4] = com.microsoft.FusedMatMul(v0, [1,0,0,0,0,1,…]:f32[1,4,4]) {alpha=1 transA=false transB=false transBatchA=true transBatchB=false}
    v2:f32[5,2,3,4] = Reshape(v1) {shape=[5,2,3,4]}
    v3:f32[2,5,3,4] = Transpose(x) {perm=[0,2,1,3]}
    return y=v2, other=v3"
  `)
})
