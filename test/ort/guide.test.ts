import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { blocksOf } from '../types/blocks.ts'
import { ROOT } from '../types/compile.ts'

test('the programs of the guide run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-guide-'))
  try {
    // A test downloads nothing, and blocks that show an error do not run.
    const blocks = blocksOf('docs/library.md').filter(
      ({ code }) => !code.includes('mnist(') && !code.includes('// error'),
    )
    expect(blocks.length).toBeGreaterThan(8)
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    for (const [i, { code }] of blocks.entries()) await writeFile(join(folder, `block${i}.ts`), code)
    // One after the other in one process: starting one takes longer than most of them.
    const runs = blocks.map(
      ({ place }, i) =>
        `await import('./block${i}.ts').catch(e => { throw new Error('${place}', { cause: e }) })`,
    )
    await writeFile(join(folder, 'all.ts'), `${runs.join('\n')}\nconsole.log('all')\n`)
    const tsx = pathToFileURL(join(ROOT, 'node_modules/tsx/dist/esm/index.mjs')).href
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, 'all.ts'], {
      cwd: folder,
      env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json') },
    })
    expect(stdout).toMatch(/^all$/m)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
