import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { ROOT, temporary } from '../types/compile.ts'
import { compileConsumer, type Settings } from './consumer-types.ts'

/** Writes the declarations of the whole package, as `npm run build` does. @returns their folder, `dist` of the package */
export async function packageDeclarations(): Promise<string> {
  const folder = temporary()
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [
    ...[compiler, '-p', join(ROOT, 'tsconfig.build.json')],
    ...['--emitDeclarationOnly', '--outDir', join(folder, 'dist')],
    // `npm run types` checks them.
    '--noCheck',
  ])
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  return join(folder, 'dist')
}

/** Tests that programs of users compile against the package's declarations. */
export function testDeclarations(settings: readonly Settings[]): void {
  let declarations: string
  beforeAll(async () => {
    declarations = await packageDeclarations()
  }, 120_000)

  test.each(settings)(
    'programs compile with $compiler, moduleResolution $resolution, dom: $dom, and no types of Node',
    async given => expect(await compileConsumer(declarations, given)).toBe(''),
  )
}
