import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

/** The compilers that users have; both must accept and refuse the same programs. */
export const COMPILERS = { 'TypeScript 7': 'typescript', 'TypeScript 5.9': 'typescript-5.9' } as const
export type Compiler = keyof typeof COMPILERS

export interface CompileError {
  /** Name of the source file, as given. */
  readonly file: string
  readonly line: number
  readonly text: string
}

export interface Compilation {
  readonly errors: readonly CompileError[]
  /** How many types were made for type parameters: the compiler's work, equal on every machine. */
  readonly instantiations: number
}

/** The root of the repository. */
export const ROOT = resolve(import.meta.dirname, '../..')

let root: string | undefined

/** A new folder, which is gone when the process ends, well or not. */
export function temporary(): string {
  if (!root) {
    const made = mkdtempSync(join(tmpdir(), 'onnxgrad-types-'))
    process.once('exit', () => rmSync(made, { recursive: true, force: true }))
    root = made
  }
  const folder = mkdtempSync(join(root, '/'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  return folder
}

/** Runs a compiler over what the configuration names and returns what it prints, errors or not. */
export function tsc(compiler: Compiler, folder: string, config: object): Promise<string> {
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), ...config }),
  )
  const program = join(ROOT, 'node_modules', COMPILERS[compiler], 'bin/tsc')
  const options = ['--pretty', 'false', '--extendedDiagnostics', '--noErrorTruncation']
  return new Promise(done => {
    execFile(
      process.execPath,
      [program, '-p', folder, ...options],
      { maxBuffer: 2 ** 26 },
      (_, stdout, stderr) => done(stdout + stderr),
    )
  })
}

/** Writes the declarations of the named modules, as users get them. @returns the folder that stands for the package */
export async function declarations(...modules: readonly string[]): Promise<string> {
  const folder = temporary()
  await tsc('TypeScript 7', folder, {
    files: modules.map(m => join(ROOT, m)),
    include: [],
    compilerOptions: {
      noEmit: false,
      emitDeclarationOnly: true,
      declaration: true,
      rootDir: ROOT,
      outDir: folder,
      types: [],
    },
  })
  return folder
}

/** Checks programs by file name together; what they import of the package is taken from its declarations. */
export async function compile(
  compiler: Compiler,
  library: string,
  sources: Readonly<Record<string, string>>,
): Promise<Compilation> {
  const folder = temporary()
  for (const [name, text] of Object.entries(sources))
    writeFileSync(join(folder, name), text.replaceAll("'../../", `'${library}/`))
  const output = await tsc(compiler, folder, {
    include: ['*.ts'],
    compilerOptions: { types: [], lib: ['es2023'] },
  })
  const instantiations = Number(/^Instantiations:\s*(\d+)/m.exec(output)?.[1] ?? Number.NaN)
  if (Number.isNaN(instantiations)) throw new Error(`${compiler} did not finish:\n${output}`)
  return { errors: errorsIn(output), instantiations }
}

/** The errors that a compiler has printed. */
export const errorsIn = (output: string): CompileError[] =>
  [...output.matchAll(/^(\S+?)\((\d+),\d+\): error (TS\d+: .*(?:\n .*)*)/gm)].map(m => ({
    file: basename(m[1]!),
    line: Number(m[2]),
    text: m[3]!,
  }))

/** The text of a file beside this one. */
export const fixture = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
