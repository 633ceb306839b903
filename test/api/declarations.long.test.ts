import { beforeAll, expect, test } from 'vitest'
import { COMPILERS, type Compiler, compileConsumer, RESOLUTIONS } from './consumer-types.ts'
import { packageDeclarations } from './declarations.ts'

const SETTINGS = (Object.keys(COMPILERS) as Compiler[]).flatMap(compiler =>
  RESOLUTIONS.flatMap(resolution => [true, false].map(dom => ({ compiler, resolution, dom }))),
)

let declarations: string
beforeAll(async () => {
  declarations = await packageDeclarations()
}, 120_000)

test.each(SETTINGS)(
  'programs compile with $compiler, moduleResolution $resolution, dom: $dom, and no types of Node',
  async settings => expect(await compileConsumer(declarations, settings)).toBe(''),
)
