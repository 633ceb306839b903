import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const text = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
const own = JSON.parse(text('package.json')) as Record<string, Readonly<Record<string, unknown>>>
const lock = JSON.parse(text('package-lock.json')) as {
  packages: Readonly<Record<string, { hasInstallScript?: boolean; resolved?: string; version: string }>>
}
const NATIVE = 'node_modules/onnxruntime-node'

test('the package has no script of its own that runs where it is installed', () => {
  const scripts = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']
  expect(Object.keys(own.scripts!).filter(name => scripts.includes(name))).toEqual([])
})

test('onnxruntime-node may fail to install; both runtimes are of the version that is tested', () => {
  expect(own.optionalDependencies).toEqual({ 'onnxruntime-node': '~1.30.0' })
  expect(own.dependencies).toMatchObject({ 'onnxruntime-web': '~1.30.0' })
  for (const name of ['onnxruntime-node', 'onnxruntime-web'])
    expect(lock.packages[`node_modules/${name}`]!.version).toMatch(/^1\.30\./)
})

// What follows keeps onnxruntime-node in a clone where its script could not download CUDA: npm 10 runs the scripts that the
// lock file tells of, npm 11 and newer those that package.json allows. After onnxruntime-node is updated, take the line
// "hasInstallScript": true out of its entry.
test("npm ci runs no script of onnxruntime-node's, whatever npm it is", () => {
  expect(lock.packages[NATIVE]).toBeDefined()
  expect(lock.packages[NATIVE]!.hasInstallScript).toBeUndefined()
  // Others' are there: this is how the lock file tells of them.
  expect(lock.packages['node_modules/esbuild']!.hasInstallScript).toBe(true)
  expect(own.allowScripts).toMatchObject({ 'onnxruntime-node': false })
})

test('the lock file names no host, and .npmrc nothing that npm does not know', () => {
  expect(Object.values(lock.packages).filter(({ resolved }) => resolved?.startsWith('http'))).toEqual([])
  const settings = text('.npmrc')
    .split('\n')
    .filter(line => line && !line.startsWith('#'))
  expect(settings).toEqual(['omit-lockfile-registry-resolved=true'])
})
