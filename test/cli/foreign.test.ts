import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from '../../src/export/onnx-proto.ts'
import { fileOf, int, ints, node, port, tensor, values } from '../ort/foreign.ts'
import { loopingImages } from '../ort/looping.ts'
import { complaint, type Finished, start, workFolder } from './program.ts'

// Files of other programs, which may be made to harm whoever opens them.

let folder: string
const put = (name: string, bytes: Uint8Array) => writeFile(join(folder, name), bytes)
const run = (...args: string[]): Promise<Finished> => start(args, folder).finished

/** What a program that failed said: one line, and nothing else. */
function refusal({ code, stdout, stderr }: Finished): string {
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(/^onnxgrad: /)
  return stderr.trim().slice('onnxgrad: '.length)
}

const image = port('image', ['batch', 1, 2, 2])
const scores = (nodes: NodeProto[], initializer: TensorProto[] = []): GraphProto => ({
  input: [image],
  output: [port('logits', ['batch', 4])],
  initializer: [values('row', 'int64', [2], [-1, 4]), ...initializer],
  node: [node('Reshape', ['image', 'row'], 'x'), ...nodes],
})
const ADD = node('Add', ['x', 'w'], 'logits')
const bias = values('w', 'float32', [4], [1, 2, 40, 4])
const yes = values('yes', 'bool', [], [1])

const graph = (name: string, g: GraphProto): AttributeProto => ({ name, type: 5, g: { name, ...g } })
/** Both branches give a tensor of their own, `w`. */
const either = (w: TensorProto): NodeProto => {
  const branch: GraphProto = {
    output: [port('o', [4])],
    node: [node('Constant', [], 'o', 'c', [tensor('value', { ...w, name: '' })])],
  }
  return node('If', ['yes'], 'w', 'if', [graph('then_branch', branch), graph('else_branch', branch)])
}
const outside: TensorProto = {
  name: 'w',
  dims: [4],
  dataType: 1,
  dataLocation: 1,
  externalData: [{ key: 'location', value: 'model.data' }],
}

beforeAll(async () => {
  folder = await workFolder()
  const pixels = Buffer.from([10, 200, 30, 40])
  await sharp(pixels, { raw: { width: 2, height: 2, channels: 1 } })
    .png()
    .toFile(join(folder, 'p.png'))
  await put('plain.onnx', fileOf(scores([ADD], [bias])))
  await put('branch.onnx', fileOf(scores([either(bias), ADD], [yes])))
  await put('endless.onnx', fileOf(loopingImages(2 ** 62)))
  await put('outside.onnx', fileOf(scores([ADD], [outside])))
  await put('outside-branch.onnx', fileOf(scores([either(outside), ADD], [yes])))
  await put('model.data', new Uint8Array(Float32Array.of(0, 0, 0, 77).buffer))
})

describe('predict', () => {
  it('runs what is known here and what is not in a process of its own, to the same numbers', async () => {
    const [plain, branch] = await Promise.all(
      ['plain', 'branch'].map(name => run('predict', `${name}.onnx`, 'p.png', '--json')),
    )
    expect(plain!.json).toMatchObject({ class: 2, device: 'cpu' })
    expect(branch!.json).toEqual(plain!.json)
  })

  it('ends a model that does not end, in one line with the time', async () => {
    const said = refusal(await run('predict', 'endless.onnx', 'p.png', '--timeout', '1'))
    expect(said).toBe(
      'endless.onnx: running it took more than 1 s, and may never end; --timeout SECONDS gives it more time',
    )
    expect(refusal(await run('predict', 'endless.onnx', 'p.png', '--timeout', '0'))).toBe(
      '--timeout must be a number above 0 and at most 2000000, not 0',
    )
  })

  it('takes the process of its model along when it is killed', async () => {
    const { child, finished } = start(['predict', 'endless.onnx', 'p.png'], folder)
    /** Processes of the program's model that are at work. */
    const children = () => {
      const all = execFileSync('ps', ['-eo', 'pid=,ppid=,cputimes=,args='], { encoding: 'utf8' }).split('\n')
      return all.flatMap(line => {
        const [pid, parent, seconds] = line.trim().split(/\s+/).map(Number)
        return line.includes('isolated-child') && parent === child.pid && seconds! >= 2 ? [pid!] : []
      })
    }
    const alive = (pid: number): boolean => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    }
    await expect.poll(children, { timeout: 40_000 }).toHaveLength(1)
    const [pid] = children()
    child.kill('SIGKILL')
    await finished
    await expect.poll(() => alive(pid!), { timeout: 20_000 }).toBe(false)
  })

  it.each([
    ['as an initializer', 'outside', 'initializer w'],
    ['in a branch', 'outside-branch', 'node c (Constant): attribute value'],
  ])('reads no file beside the model that it does not ask for: %s', async (_, name, where) => {
    expect(refusal(await run('predict', `${name}.onnx`, 'p.png'))).toBe(
      `${name}.onnx: ${where}: is stored in another file, model.data; give --external-data (readOnnx: external) to read that file from the model's folder`,
    )
    const { json, code } = await run('predict', `${name}.onnx`, 'p.png', '--external-data', '--json')
    expect(code).toBe(0)
    expect(json).toMatchObject({ class: 3 })
  })

  it('reads them from the folder of the model, not from where it is started', async () => {
    await mkdir(join(folder, 'elsewhere'), { recursive: true })
    await put('elsewhere/outside.onnx', fileOf(scores([ADD], [outside])))
    expect(refusal(await run('predict', 'elsewhere/outside.onnx', 'p.png', '--external-data'))).toBe(
      'elsewhere/outside.onnx: initializer w: elsewhere/model.data does not exist',
    )
  })

  it('refuses examples that would fill the memory, by their size', async () => {
    const large = { input: [port('image', ['b', 1, 65536, 65536])], output: [port('y', ['b', 1])] }
    await put('large.onnx', fileOf({ ...large, node: [node('Flatten', ['image'], 'y')] }))
    expect(refusal(await run('predict', 'large.onnx', 'p.png'))).toBe(
      'large.onnx: takes examples of 1 × 65536 × 65536 = 4,294,967,296 numbers; at most 16,777,216 are allowed',
    )
    const tokens = { input: [port('t', ['b', 2 ** 30], 6)], output: [port('y', ['b', 2 ** 30])] }
    await put('tokens.onnx', fileOf({ ...tokens, node: [node('Cast', ['t'], 'y', '', [int('to', 1)])] }))
    expect(refusal(await run('verify', 'tokens.onnx'))).toBe(
      'tokens.onnx: takes examples of 1073741824 = 1,073,741,824 numbers; at most 16,777,216 are allowed',
    )
  })

  it('says what the model answers where that is no scores', async () => {
    const maximum = node('ArgMax', ['x'], 'logits', '', [int('axis', 1)])
    await put('indices.onnx', fileOf({ ...scores([maximum]), output: [port('logits', ['batch', 1], 7)] }))
    expect(refusal(await run('predict', 'indices.onnx', 'p.png'))).toBe(
      'the model returned logits, int64 [1,1], for 1 examples; expected float32 [1, classes]',
    )
    const none = node('Slice', ['x'], 'logits', '', [
      ints('starts', [0]),
      ints('ends', [0]),
      ints('axes', [1]),
    ])
    await put('none.onnx', fileOf({ ...scores([none]), output: [port('logits', ['batch', 0])] }, 9))
    expect(refusal(await run('predict', 'none.onnx', 'p.png'))).toMatch(
      /^the model returned logits, float32 \[1,0\]/,
    )
  })
})

it('inspect shows a model whose weights are in other files, and says which', async () => {
  const without = await run('inspect', 'outside.onnx', '--json')
  expect(without.json).toMatchObject({
    parameters: 4,
    operators: { Add: 1, Reshape: 1 },
    layers: null,
    otherFiles: ['model.data'],
  })
  expect(without.json.reason).toMatch(
    /initializer w: is stored in another file, model\.data; give --external-data/,
  )
  const whole = await run('inspect', 'outside.onnx', '--external-data', '--json')
  expect(whole.json.layers).toHaveLength(1)
  expect(complaint(whole)).toEqual([])
})
