import { beforeAll, describe, expect, test } from 'vitest'
import { constant, input } from '../../src/graph/leaf.ts'
import { UNKNOWN } from '../../src/graph/shape.ts'
import { conv2d, groupNorm, maxPool2d, mul, pad, relu, sum, vjp } from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const weights = (...shape: number[]) =>
  constant(
    Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)),
    'float32',
    shape,
  )

/** Convolution, norm and pooling that keep the size of an image, whatever it is. */
function network() {
  const x = input('x', 'float32', ['n', 2, 'H', 'W'])
  const same = conv2d(x, weights(4, 2, 3, 3), undefined, { padding: 1 })
  const wide = conv2d(same, weights(4, 2, 3, 5), undefined, { padding: [2, 4], dilation: 2, groups: 2 })
  const normed = groupNorm(relu(wide), 2, weights(4), weights(4))
  const kept = maxPool2d(normed, 3, { stride: 1, padding: 1 })
  return { kept, padded: pad(kept, [0, 0, 1, 0], [0, 0, 0, 2]), halved: maxPool2d(kept, 2) }
}

describe('images of any size', () => {
  test('keep the symbols of height and width where every pixel is one place', () => {
    const { kept, padded, halved } = network()
    expect(kept.shape).toEqual(['n', 4, 'H', 'W'])
    expect(padded.shape).toEqual(['n', 4, 'H+1', 'W+2'])
    expect(halved.shape).toEqual(['n', 4, UNKNOWN, UNKNOWN])
  })

  test.each([
    [1, 5, 7],
    [3, 8, 4],
  ])('are computed as those of a known size: %i of %i × %i', async (n, height, width) => {
    const values = Array.from({ length: n * 2 * height * width }, (_, i) => Math.cos(i))
    const got = await evaluate(cpu, network(), { x: values }, { x: [n, 2, height, width] })
    expect(got.kept!.dims).toEqual([n, 4, height, width])
    expect(got.padded!.dims).toEqual([n, 4, height + 1, width + 2])
    expect(got.halved!.dims).toEqual([n, 4, Math.floor(height / 2), Math.floor(width / 2)])
  })

  test('have no gradient before their size is known', () => {
    const gradient = (...shape: [n: number, channels: number, height: number | 'H', width: number]) => {
      const x = input('x', 'float32', shape)
      const y = conv2d(x, weights(4, 2, 3, 3), undefined, { padding: 1 })
      return vjp(sum(mul(y, y)), constant(1, 'float32', []), [x])
    }
    expect(() => gradient(1, 2, 'H', 8)).toThrow(
      'conv2d: no gradient for [1,2,H,8]: its height and width are not known',
    )
    expect(gradient(1, 2, 8, 8)[0]!.shape).toEqual([1, 2, 8, 8])
  })
})
