import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, test } from 'vitest'
import { type Machine, nativeProblem } from '../../src/runtime/native-node.ts'
import { bundled } from '../shared.ts'
import { complaint, type Finished, hiding, onnxgrad, start, workFolder, writeDigits } from './program.ts'

const HIDDEN = hiding('onnxruntime-node')
const folder = await workFolder()

/** Runs the program where onnxruntime-node is not installed. */
const without = (...args: string[]): Promise<Finished> => start(args, undefined, [HIDDEN]).finished

const NOTICE = 'running on WASM, which is slower: onnxruntime-node is not installed; to get it, run: '

/** A program of a user's: trains for an epoch and prints the training accuracy. */
const LIBRARY_TRAIN = `
  import { mlp } from ${JSON.stringify(pathToFileURL(bundled('models')))}
  import { mnist, train } from ${JSON.stringify(pathToFileURL(bundled('node')))}
  const model = mlp({ image: 28, channels: 1, classes: 10, hidden: [8] })
  const run = await train(model, { data: await mnist({ data: process.argv.at(-1) }), epochs: 1 })
  console.log(run.train?.accuracy)`

beforeAll(() => writeDigits(folder, 100, 40))

describe('without onnxruntime-node', () => {
  it('train() of the library does the same, with a warning on the console', async () => {
    const args = ['--input-type=module', '--eval', LIBRARY_TRAIN, '--', folder]
    const trained = await promisify(execFile)(process.execPath, [HIDDEN, ...args])
    expect(trained.stderr.trim()).toMatch(`onnxgrad: ${NOTICE}`)
    expect(trained.stderr.trim()).not.toContain('\n')
    expect(Number(trained.stdout)).toBeGreaterThan(0)
    expect((await promisify(execFile)(process.execPath, args)).stderr).toBe('')
  })

  it('the doctor says what is missing, and that training works all the same', async () => {
    const { code, json } = await without('doctor', '--json')
    expect(code).toBe(0)
    expect(json).toMatchObject({
      devices: { cpu: { works: false }, wasm: { works: true } },
      parts: { 'onnxruntime-node': { works: false }, sharp: { works: true }, digits: { works: true } },
    })
    const all = await onnxgrad('doctor', '--json')
    expect(all.json).toMatchObject({
      devices: { cpu: { works: true }, wasm: { works: true } },
      parts: { 'onnxruntime-node': { works: true } },
    })
  })
})

it('the doctor fails where no device works', async () => {
  const flags = [hiding('onnxruntime-node', 'onnxruntime-web', 'sharp')]
  const finished = await start(['doctor'], undefined, flags).finished
  expect(finished.code).toBe(1)
  expect(complaint(finished)).toEqual([expect.stringContaining('no device works')])
  expect(finished.stdout).toMatch(/✖ sharp .* npm install --include=optional/)
})

const linux: Machine = { platform: 'linux', arch: 'x64', musl: false }
test.each<[string, string, Machine, RegExp]>([
  [
    'left out',
    "Cannot find package 'onnxruntime-node'",
    linux,
    /not installed; .*ONNXRUNTIME_NODE_INSTALL=skip npm/,
  ],
  [
    'left out on Windows',
    "Cannot find package 'onnxruntime-node'",
    { ...linux, platform: 'win32' },
    /not installed; to get it, run: npm install --include=optional$/,
  ],
  [
    'on musl',
    'Error loading shared library ld-linux-x86-64.so.2: No such file',
    { ...linux, musl: true },
    /does not run on linux x64 with musl: its libraries need glibc/,
  ],
  [
    'without a library for the platform',
    "Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'",
    { platform: 'darwin', arch: 'x64', musl: false },
    /does not run on darwin x64: it has no library for this platform$/,
  ],
  [
    'that is damaged',
    'libonnxruntime.so.1: file too short',
    linux,
    /cannot be loaded: libonnxruntime\.so\.1: file/,
  ],
])('onnxruntime-node %s is explained', (_, message, machine, expected) => {
  expect(nativeProblem(new Error(message), machine)).toMatch(expected)
})
