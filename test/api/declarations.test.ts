import { beforeAll, expect, test } from 'vitest'
import { compileConsumer, type Settings } from './consumer-types.ts'
import { packageDeclarations } from './declarations.ts'

// The newest compiler; declarations.long.test.ts has the others.
const SETTINGS: readonly Settings[] = [
  { compiler: 'TypeScript 7', resolution: 'bundler', dom: true },
  { compiler: 'TypeScript 7', resolution: 'nodenext', dom: false },
]

let declarations: string
beforeAll(async () => {
  declarations = await packageDeclarations()
}, 120_000)

test.each(SETTINGS)(
  'programs compile with $compiler, moduleResolution $resolution, dom: $dom, and no types of Node',
  async settings => expect(await compileConsumer(declarations, settings)).toBe(''),
)
