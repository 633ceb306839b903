import { beforeAll, expect, test } from 'vitest'
import {
  type Compilation,
  type CompileError,
  type Compiler,
  compile,
  declarations,
  fixture,
} from './compile.ts'
import { generate } from './differential.ts'
import { refused } from './refused.ts'
import { refusedLayers } from './refused-layers.ts'

const CASES = Number(process.env.ONNXGRAD_TYPE_CASES ?? 100)
export const generated = generate(7, CASES)
const hidden = generate(8, CASES, 0.25)

const accepted = Object.fromEntries(
  ['accepted.ts', 'accepted-layers.ts', 'expected.ts'].map(name => [name, fixture(name)]),
)

/** The refused programs. */
const refusals: Record<string, readonly (() => unknown)[]> = {
  'refused.ts': refused,
  'refused-layers.ts': refusedLayers,
}

/** With nothing expected: each must give one error. */
const mistakes = Object.fromEntries(
  Object.keys(refusals).map(name => [name, fixture(name).replaceAll('@ts-expect-error', '')]),
)

/** What stands above each refused program: its line, the run time's message and the compiler's, where it differs. */
export const expected = Object.entries(refusals).flatMap(([file, all]) => {
  const lines = fixture(file).split('\n')
  const directives = lines.flatMap((line, i) => {
    const directive = /^ +\/\/ @ts-expect-error ?(.*)/.exec(line)
    if (!directive) return []
    const message = lines[i - 1]!.replace(/^ +\/\/ /, '')
    return [{ file, line: i + 2, message, shown: directive[1] || `"${message}"` }]
  })
  expect(directives).toHaveLength(all.length)
  return directives.map((d, i) => ({ ...d, program: all[i]! }))
})

/** Models with literal shapes, and how many instantiations each may cost. */
const BUDGETS = { vit: 20_000, lenet: 10_000, unet: 35_000 } as const
type Models = Record<keyof typeof BUDGETS, Compilation>
type Programs = Models & Record<'mistakes' | 'programs', Compilation>
const models = Object.entries(BUDGETS) as [keyof Models, number][]

const describeErrors = (errors: readonly CompileError[], sources: Record<string, string>): string[] =>
  errors.map(e => `${sources[e.file]?.split('\n')[e.line - 1]?.trim()} ⇒ ${e.text}`)

/** Tests that a compiler accepts and refuses what the run time does, as quickly. */
export function testCompiler(compiler: Compiler): void {
  let compiled: Programs

  beforeAll(async () => {
    const library = await declarations('src/index.ts', 'models/index.ts')
    const run = (sources: Record<string, string>) => compile(compiler, library, sources)
    compiled = {
      mistakes: await run({ ...mistakes, 'expected.ts': fixture('expected.ts') }),
      programs: await run({
        ...accepted,
        'generated.ts': generated.source,
        'hidden.ts': hidden.source,
      }),
      vit: await run({ 'vit.ts': fixture('vit.ts') }),
      lenet: await run({ 'lenet.ts': fixture('lenet.ts') }),
      unet: await run({ 'unet.ts': fixture('unet.ts') }),
    }
  }, 300_000)

  const of = (name: keyof Programs): Compilation => compiled[name]

  test('accepts what is right, with exactly these dtypes and shapes', () => {
    const errors = of('programs').errors.filter(e => e.file in accepted)
    expect(describeErrors(errors, accepted)).toEqual([])
  })

  test("gives the run time's shape or message for random arguments", () => {
    const errors = of('programs').errors.filter(e => e.file === 'generated.ts')
    expect(describeErrors(errors, { 'generated.ts': generated.source, 'hidden.ts': hidden.source })).toEqual(
      [],
    )
  })

  test('knows nothing wrong when it is not told all dims and numbers', () => {
    const errors = of('programs').errors.filter(e => e.file === 'hidden.ts')
    expect(describeErrors(errors, { 'hidden.ts': hidden.source })).toEqual([])
  })

  test.each(expected)('refuses in one error: $message', ({ file, line, shown }) => {
    const [error, ...more] = of('mistakes').errors.filter(e => e.file === file && e.line === line)
    expect(error?.text).toContain(shown)
    expect(more).toEqual([])
  })

  test('reports no other error', () => {
    const places = new Set(expected.map(e => `${e.file}:${e.line}`))
    expect(of('mistakes').errors.filter(e => !places.has(`${e.file}:${e.line}`))).toEqual([])
  })

  test.each(models)('checks a %s of literal shapes in fewer than %i instantiations', (name, budget) => {
    const { errors, instantiations } = of(name)
    expect(errors).toEqual([])
    expect(instantiations).toBeGreaterThan(1000)
    expect(instantiations).toBeLessThan(budget)
  })
}
