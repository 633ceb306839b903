import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../types/compile.ts'

/** A program of a page, bundled as users do it; onnxruntime-web stays outside. */
const bundle = (program: string) =>
  build({
    stdin: { contents: program, resolveDir: ROOT },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['onnxruntime-web'],
    // Bundlers of pages put license texts into a file of their own.
    legalComments: 'none',
    write: false,
  })

const PROGRAMS = [
  {
    name: 'everything of onnxgrad/web, and one model',
    budget: 190,
    program: `import * as web from './src/web.ts'; import { vit } from './models/index.ts'; console.log(web, vit)`,
  },
  {
    name: 'training, data, export, and one model',
    budget: 100,
    program: `import { adamW, digits, exportOnnx, train } from './src/web.ts'; import { vit } from './models/index.ts'
      console.log(adamW, digits, exportOnnx, train, vit)`,
  },
  {
    name: 'prediction alone',
    budget: 46.5,
    program: `import { predictor } from './src/web.ts'; console.log(predictor)`,
  },
]

describe('the size of a page, gzipped and without the runtime', () => {
  test.each(PROGRAMS)('$name: at most $budget kB', async ({ name, budget, program }) => {
    const { outputFiles } = await bundle(program)
    const kB = gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length / 1000
    console.log(`${name}: ${kB.toFixed(1)} kB gzipped`)
    expect(kB).toBeGreaterThan(10)
    expect(kB).toBeLessThan(budget)
  })
})

/** The packages that a module imports, directly or through its own files. @param kinds of the imports that are followed */
async function packagesOf(entry: string, kinds: readonly string[]): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [join(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    metafile: true,
    write: false,
  })
  const found = new Set<string>()
  const visit = (file: string, seen: Set<string>, { inputs }: Metafile): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const { path, kind, external } of inputs[file]?.imports ?? [])
      if (kinds.includes(kind))
        if (external) found.add(path)
        else visit(path, seen, { inputs, outputs: {} })
  }
  visit(entry, new Set(), metafile)
  return [...found].sort()
}

const STATIC = ['import-statement']
const ALL = [...STATIC, 'dynamic-import']

describe('what is loaded', () => {
  test('a page needs neither sharp nor onnxruntime-node, and the runtime only when a device is asked for', async () => {
    const needed = ['@noble/hashes/sha2.js', '@noble/hashes/utils.js', 'protobufjs/minimal.js']
    expect(await packagesOf('src/web.ts', STATIC)).toEqual(needed)
    expect(await packagesOf('src/web.ts', ALL)).toEqual([
      ...needed.slice(0, 2),
      'onnxruntime-web/wasm',
      'onnxruntime-web/webgpu',
      'protobufjs/minimal.js',
    ])
  })

  test('onnxgrad and onnxgrad/models load nothing of a device', async () => {
    for (const entry of ['src/index.ts', 'models/index.ts'])
      for (const name of await packagesOf(entry, ALL)) expect(name).toMatch(/^(@noble|protobufjs)/)
  })

  test('onnxgrad/node loads pictures, charts, pages and the runtime where they are used', async () => {
    const heavy = /^(sharp|linkedom|@observablehq|onnxruntime|yargs|cli-progress|string-width)/
    expect((await packagesOf('src/node.ts', STATIC)).filter(name => heavy.test(name))).toEqual([])
    // They are found where they are loaded later: proof that the search sees them.
    expect((await packagesOf('src/node.ts', ALL)).filter(name => heavy.test(name))).toContain('sharp')
  })
})
