import { beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../src/graph/errors.ts'
import { cases, layers } from './accepted.ts'
import {
  COMPILERS,
  type Compilation,
  type CompileError,
  type Compiler,
  compile,
  declarations,
  fixture,
} from './compile.ts'
import { generate } from './differential.ts'
import { refused } from './refused.ts'
import { logits, shape } from './vit.ts'

const compilers = Object.keys(COMPILERS) as Compiler[]
const CASES = Number(process.env.ONNXGRAD_TYPE_CASES ?? 100)
const generated = generate(7, CASES)
const hidden = generate(8, CASES, 0.25)

/** The refused programs with nothing expected: each must give one error. */
const mistakes = fixture('refused.ts').replaceAll('@ts-expect-error', '')

/** What stands above each refused program: its line, the run time's message and the compiler's, where it differs. */
const expected = fixture('refused.ts')
  .split('\n')
  .flatMap((line, i, lines) => {
    const directive = /^ +\/\/ @ts-expect-error ?(.*)/.exec(line)
    if (!directive) return []
    const message = lines[i - 1]!.replace(/^ +\/\/ /, '')
    return [{ line: i + 2, message, shown: directive[1] || `"${message}"` }]
  })

const programs = ['mistakes', 'programs', 'vit'] as const
type Programs = Record<(typeof programs)[number], Compilation>
const compiled = new Map<Compiler, Programs>()

beforeAll(async () => {
  const library = await declarations('src/index.ts', 'models/index.ts')
  const all = async (compiler: Compiler): Promise<void> => {
    const run = (sources: Record<string, string>) => compile(compiler, library, sources)
    compiled.set(compiler, {
      mistakes: await run({ 'refused.ts': mistakes }),
      programs: await run({
        'accepted.ts': fixture('accepted.ts'),
        'generated.ts': generated.source,
        'hidden.ts': hidden.source,
      }),
      vit: await run({ 'vit.ts': fixture('vit.ts') }),
    })
  }
  await Promise.all(compilers.map(all))
}, 300_000)

const describeErrors = (errors: readonly CompileError[], sources: Record<string, string>): string[] =>
  errors.map(e => `${sources[e.file]?.split('\n')[e.line - 1]?.trim()} ⇒ ${e.text}`)

describe.each(compilers)('%s', compiler => {
  const of = (name: keyof Programs): Compilation => compiled.get(compiler)![name]

  test('accepts what is right, with exactly these dtypes and shapes', () => {
    const errors = of('programs').errors.filter(e => e.file === 'accepted.ts')
    expect(describeErrors(errors, { 'accepted.ts': fixture('accepted.ts') })).toEqual([])
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

  test.each(expected)('refuses in one error: $message', ({ line, shown }) => {
    const [error, ...more] = of('mistakes').errors.filter(e => e.line === line)
    expect(error?.text).toContain(shown)
    expect(more).toEqual([])
  })

  test('reports no other error', () => {
    const lines = new Set(expected.map(e => e.line))
    expect(of('mistakes').errors.filter(e => !lines.has(e.line))).toEqual([])
  })

  test('checks a ViT written op by op in fewer than 20 000 instantiations', () => {
    expect(of('vit').errors).toEqual([])
    expect(of('vit').instantiations).toBeGreaterThan(1000)
    expect(of('vit').instantiations).toBeLessThan(20_000)
  })
})

describe('the run time', () => {
  test('builds what the compiler accepts, with the same dtypes and shapes', () => {
    for (const { x, dtype, shape } of [...cases(), ...layers()]) {
      expect(x.dtype).toBe(dtype)
      expect(x.shape).toEqual(shape)
    }
  })

  test.each(expected)('refuses: $message', ({ message }) => {
    const program = refused[expected.findIndex(e => e.message === message)]!
    expect(program).toThrow(message)
    expect(program).toThrow(UserError)
  })

  test('builds the ViT with the shape that the compiler knows', () => {
    expect(shape).toEqual(['batch', 10])
    expect(logits.shape).toEqual(shape)
  })
})

test.each(Object.entries(generated.counts))(
  'random arguments of %s are both right and wrong',
  (_, counts) => {
    expect(counts.accepted).toBeGreaterThan(1)
    expect(counts.refused).toBeGreaterThan(1)
  },
)
