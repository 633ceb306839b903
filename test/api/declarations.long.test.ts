import { COMPILERS, type Compiler, RESOLUTIONS } from './consumer-types.ts'
import { testDeclarations } from './declarations.ts'

testDeclarations(
  (Object.keys(COMPILERS) as Compiler[]).flatMap(compiler =>
    RESOLUTIONS.flatMap(resolution => [true, false].map(dom => ({ compiler, resolution, dom }))),
  ),
)
