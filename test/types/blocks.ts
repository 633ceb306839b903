import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CompileError, errorsIn, ROOT, temporary, tsc } from './compile.ts'

interface Config {
  readonly compilerOptions: { readonly paths: Readonly<Record<string, readonly string[]>> }
}

/** An error that a block of code shows on purpose, in a comment that begins with `error`, on its line or below it. */
interface Shown {
  readonly line: number
  readonly text: string
}

/** A block of code in a page. */
interface CodeBlock {
  /** The page and the line at which the code begins, such as `README.md:67`. */
  readonly place: string
  /** What stands behind the three backticks. */
  readonly language: string
  readonly code: string
}

/** A block of TypeScript in a page. */
export interface Block extends Omit<CodeBlock, 'language'> {
  readonly shown: readonly Shown[]
}

/** The pages whose code is checked, by their paths from the root of the repository. */
export const PAGES = [
  'README.md',
  'examples/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
]

/** The text of a comment; undefined for a line without one. */
const commentOf = (line: string): string | undefined => /(?:^|\s)\/\/ (.*)$/.exec(line)?.[1]
const isComment = (line: string): boolean => /^\s*\/\//.test(line)

/** A comment on a line of its own belongs to the line above, and continues in the comments below it. */
function shownIn(code: string): Shown[] {
  const lines = code.split('\n')
  return lines.flatMap((line, i) => {
    const text = /^error:? (.*)$/.exec(commentOf(line) ?? '')?.[1]
    if (text === undefined) return []
    if (!isComment(line)) return [{ line: i + 1, text }]
    const end = lines.findIndex((next, j) => j > i && !isComment(next))
    const rest = lines.slice(i + 1, end < 0 ? undefined : end).map(commentOf)
    return [{ line: i, text: [text, ...rest].join(' ') }]
  })
}

export const textOfPage = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

/** All blocks of code of a page. @param page path from the root of the repository */
export function codeOf(page: string): CodeBlock[] {
  const text = textOfPage(page)
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ({ 1: language = '', 2: code = '', index }) => ({
      place: `${page}:${text.slice(0, index).split('\n').length + 1}`,
      language,
      code,
    }),
  )
}

/** The TypeScript blocks of a page. */
export const blocksOf = (page: string): Block[] =>
  codeOf(page)
    .filter(({ language }) => language === 'ts')
    .map(({ place, code }) => ({ place, code, shown: shownIn(code) }))

/** Errors of each block, each block a module of its own, with the project's options and paths. */
export async function check(blocks: readonly Block[]): Promise<CompileError[][]> {
  const folder = temporary()
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const nameOf = (i: number): string => `block${i}.ts`
  for (const [i, { code }] of blocks.entries()) writeFileSync(join(folder, nameOf(i)), code)
  const own = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8')) as Config
  const paths = Object.entries({ ...own.compilerOptions.paths, 'onnxgrad/web': ['src/web.ts'] })
  const output = await tsc('TypeScript 7', folder, {
    include: ['*.ts'],
    compilerOptions: {
      // Pages show results without using them.
      noUnusedLocals: false,
      paths: Object.fromEntries(paths.map(([name, files]) => [name, files.map(f => join(ROOT, f))])),
    },
  })
  if (!output.includes('Instantiations:')) throw new Error(`the compiler did not finish:\n${output}`)
  const errors = errorsIn(output)
  const names = blocks.map((_, i) => nameOf(i))
  const other = errors.find(e => !names.includes(e.file))
  if (other) throw new Error(`${other.file}:${other.line}: ${other.text}`)
  return names.map(name => errors.filter(e => e.file === name))
}
