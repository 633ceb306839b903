import { readdirSync } from 'node:fs'
import type { DType } from '../../src/graph/dtype.ts'
import { allOps } from '../../src/graph/op.ts'
import { type Case, casesOf, type Feeds } from '../../src/testing/cases.ts'

export { type Case, type Feeds, normalLike } from '../../src/testing/cases.ts'

// Every op, whether or not a public function makes it.
for (const file of readdirSync('src/ops')) await import(`../../src/ops/${file.replace('.ts', '')}.ts`)

/** All samples of all ops, with float32 inputs in `dtype`; their values, the same in any dtype, are put into `feeds`. */
export const allCases = (dtype: DType, feeds: Feeds): Case[] =>
  allOps().flatMap(op => casesOf(op, dtype, feeds))
