import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import type { GraphProto } from '../../src/export/onnx-proto.ts'
import { UserError } from '../../src/graph/errors.ts'
import { type IsolatedOptions, isolatedRuntime } from '../../src/runtime/isolated-node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { fileOf, node, port, values, weight } from './foreign.ts'
import { looping } from './looping.ts'

const open: Runtime[] = []
afterEach(async () => {
  for (const runtime of open.splice(0)) await runtime.close()
})

async function isolated(options: Partial<IsolatedOptions> = {}): Promise<Runtime> {
  const runtime = await isolatedRuntime('cpu', { file: 'x.onnx', ...options })
  open.push(runtime)
  return runtime
}

const failure = (work: Promise<unknown>): Promise<UserError> =>
  work.then(
    () => expect.fail('it did not fail'),
    (error: UserError) => error,
  )

const x = port('x', ['n', 4])
const y = port('y', ['n', 4])
const feeds = (runtime: Runtime) => ({ x: runtime.tensor('float32', Float32Array.of(1, 2, 3, 4), [1, 4]) })
const sums = fileOf({
  input: [x],
  output: [y],
  initializer: [weight('w', 4)],
  node: [node('Add', ['x', 'w'], 'y')],
})

/** Processes that this one has started. */
const children = (): number =>
  execFileSync('ps', ['-o', 'args=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    .split('\n')
    .filter(line => line.includes('isolated-child')).length

describe('a model in a process of its own', () => {
  test('gives the same numbers, several at once, and ends with its runtime', async () => {
    const [apart, here] = [await isolated(), await nodeRuntime('cpu')]
    const [first, second] = [await apart.load(sums), await apart.load(fileOf(looping(3)))]
    const want = await (await here.load(sums)).run(feeds(here))
    const [got, looped] = await Promise.all([first.run(feeds(apart)), second.run(feeds(apart))])
    expect(got).toEqual(want)
    expect([...(looped.y!.data as Float32Array)]).toEqual([8, 16, 24, 32])
    expect(children()).toBe(1)
    await apart.close()
    expect(children()).toBe(0)
    expect((await failure(first.run(feeds(apart)))).message).toBe('x.onnx: its runtime was closed')
  })

  test('that the runtime refuses, or fails to run, costs nothing', async () => {
    const runtime = await isolated()
    const unknown = fileOf({ input: [x], output: [y], node: [node('NoSuchOperator', ['x'], 'y')] })
    expect((await failure(runtime.load(unknown))).message).toMatch(
      /^cpu: the model could not be loaded: .*NoSuchOperator/,
    )
    const session = await runtime.load(sums)
    const wrong = { x: runtime.tensor('float32', Float32Array.of(1, 2), [1, 2]) }
    const error = await failure(session.run(wrong))
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toMatch(/^cpu: the model failed to run: /)
    expect((await session.run(feeds(runtime))).y!.dims).toEqual([1, 4])
  })

  test('that does not end is ended, in one line with the time', async () => {
    const runtime = await isolated({ timeout: 1 })
    const session = await runtime.load(fileOf(looping(2 ** 62)))
    const begin = performance.now()
    const waiting = [failure(session.run(feeds(runtime))), failure(session.run(feeds(runtime)))]
    for (const error of await Promise.all(waiting)) {
      expect(error).toBeInstanceOf(UserError)
      expect(error.message).toBe(
        'x.onnx: running it took more than 1 s, and may never end; --timeout SECONDS gives it more time',
      )
    }
    expect(performance.now() - begin).toBeLessThan(20_000)
    expect(children()).toBe(0)
  })

  test('has the time for each answer, not for all of them', async () => {
    const runtime = await isolated({ timeout: 2 })
    const session = await runtime.load(sums)
    await new Promise(resolve => setTimeout(resolve, 2500))
    expect((await session.run(feeds(runtime))).y!.dims).toEqual([1, 4])
  })

  test('that fills the memory is ended, in one line with the bytes', async () => {
    const runtime = await isolated({ memory: 500e6 })
    const zeros = (size: number): GraphProto => ({
      input: [x],
      output: [y],
      initializer: [values('size', 'int64', [1], [size])],
      // Not an operator that the runtime computes while it loads a model: the size depends on the input.
      node: [
        node('Shape', ['x'], 'dims'),
        node('ReduceProd', ['dims'], 'four'),
        node('Mul', ['four', 'size'], 'n'),
        node('ConstantOfShape', ['n'], 'zeros'),
        node('ReduceSum', ['zeros'], 'zero'),
        node('Add', ['x', 'zero'], 'y'),
      ],
    })
    const small = await runtime.load(fileOf(zeros(1000)))
    expect([...((await small.run(feeds(runtime))).y!.data as Float32Array)]).toEqual([1, 2, 3, 4])
    const large = await runtime.load(fileOf(zeros(2 ** 27)))
    expect((await failure(large.run(feeds(runtime)))).message).toBe(
      'x.onnx: running it took more than 0.5 GB of memory',
    )
  })

  test('that answers more than a message holds is told so', async () => {
    const runtime = await isolated()
    const tiled = fileOf({
      input: [x],
      output: [port('y', ['a', 'b'])],
      initializer: [values('times', 'int64', [2], [1, 2 ** 24 + 1])],
      node: [node('Tile', ['x', 'times'], 'y')],
    })
    const session = await runtime.load(tiled)
    expect((await failure(session.run(feeds(runtime)))).message).toBe(
      'the model returned 268,435,472 bytes; at most 268,435,456 are allowed',
    )
  })

  test('that crashes the runtime is one line, and this process lives', async () => {
    const runtime = await isolated()
    const session = await runtime.load(fileOf(looping(2 ** 62)))
    const running = failure(session.run(feeds(runtime)))
    const pid = execFileSync('pgrep', ['-P', String(process.pid), '-f', 'isolated-child'], {
      encoding: 'utf8',
    })
    process.kill(Number(pid), 'SIGSEGV')
    const error = await running
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toBe(
      'x.onnx: the runtime crashed while running it (SIGSEGV); the file is damaged or malicious',
    )
    expect((await failure(runtime.load(sums))).message).toBe(error.message)
  })
})

test('an isolated runtime says which device is not here, and leaves no process behind', async () => {
  expect((await failure(isolatedRuntime('cuda', { file: 'x.onnx' }))).message).toMatch(
    /^device cuda is not available/,
  )
  expect(children()).toBe(0)
})
