import { beforeAll, describe, expect, it, test } from 'vitest'
import { vit } from '../../models/index.ts'
import { rng } from '../../src/graph/random.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import { adamW, OPTIMIZERS, type Optimizer, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

const model = vit({ image: 8, channels: 1, patch: 4, dim: 8, depth: 2, heads: 2, mlp: 8, classes: 4 })
const layout = layoutOf(model.parameters)
const params = initialize(layout, 1)
const names = layout.slots.map(s => s.name)

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const random = rng(2)
const batch = {
  image: Float32Array.from({ length: 8 * 64 }, () => random.uniform()),
  label: Int32Array.from({ length: 8 }, (_, i) => i % 4),
}

/** Parameters after one step with the optimizer's own rate. */
async function trained(optimizer: Optimizer, start = params): Promise<Map<string, Float32Array>> {
  const weights = { model, params: start }
  const run = new Trainer<SingleStep>(cpu, model, { task: classification(), weights, seed: 3, optimizer })
  await run.step(batch)
  const { params: next } = (await run.state()).vectors
  await run.close()
  return views(layout, next!)
}

function expectEqual(got: Float32Array, want: Float32Array, what: string): void {
  for (const [i, v] of want.entries()) expect(Math.abs(got[i]! - v), `${what}[${i}]`).toBeLessThan(1e-6)
}

describe.each(Object.entries(OPTIMIZERS))('%s', (_, { make }) => {
  it('gives a group the step that it has as the rate and decay of all', async () => {
    const lr = 0.02
    const groups = [
      { match: /^blocks\.1\./, lr: 0.005 },
      { match: 'head.*', lr: 0.005, weightDecay: 0.5 },
      { match: /mlp\.fc1\.weight$/, weightDecay: 0.5 },
    ]
    const grouped = await trained(make({ lr, weightDecay: 0, groups }))
    const runs = {
      plain: await trained(make({ lr, weightDecay: 0 })),
      slow: await trained(make({ lr: 0.005, weightDecay: 0 })),
      decayed: await trained(make({ lr, weightDecay: 0.5 })),
      both: await trained(make({ lr: 0.005, weightDecay: 0.5 })),
    }
    const expected = (name: string): keyof typeof runs => {
      const slow = name.startsWith('blocks.1.') || name.startsWith('head.')
      if (name === 'head.weight' || name.endsWith('mlp.fc1.weight')) return slow ? 'both' : 'decayed'
      return slow ? 'slow' : 'plain'
    }
    // A bias is exempt from the decay of all, but not from that of its group.
    for (const name of names.filter(n => n !== 'head.bias'))
      expectEqual(grouped.get(name)!, runs[expected(name)].get(name)!, name)
    expect(new Set(names.map(expected)).size).toBe(4)
  })
})

test('a group takes weights out of the decay, and puts a bias into it', async () => {
  const groups = [
    { match: 'blocks.0.*', weightDecay: 0 },
    { match: 'patch_embed.proj.bias', weightDecay: 1 },
  ]
  const start = params.map(() => 1)
  const [with_, without] = [
    await trained(sgd({ lr: 0.1, weightDecay: 0.2, groups }), start),
    await trained(sgd({ lr: 0.1 }), start),
  ]
  for (const { name, decay } of layout.slots) {
    const own = name === 'patch_embed.proj.bias' ? 1 : name.startsWith('blocks.0.') || !decay ? 0 : 0.2
    for (const [i, v] of with_.get(name)!.entries())
      expect(v, name).toBeCloseTo(without.get(name)![i]! - 0.1 * own, 5)
  }
})

test('a rate of 0 freezes parameters bit for bit, while the others learn', async () => {
  const frozen = await trained(adamW({ groups: [{ match: /^(patch_embed|blocks)/, lr: 0 }] }))
  for (const [name, before] of views(layout, params)) {
    const same = frozen.get(name)!.every((v, i) => v === before[i])
    expect([name, same]).toEqual([name, /^(patch_embed|blocks)/.test(name)])
  }
})

test('the last group that has a setting gives it, and the configuration shows all', async () => {
  const groups = [
    { match: '*', lr: 0 },
    { match: /^head/g, lr: 0.1 },
  ]
  const optimizer = sgd({ lr: 0.1, groups })
  const [got, plain] = [await trained(optimizer), await trained(sgd({ lr: 0.1 }))]
  expectEqual(got.get('head.weight')!, plain.get('head.weight')!, 'head.weight')
  expect(got.get('cls_token')).toEqual(views(layout, params).get('cls_token'))
  expect(optimizer.settings.groups).toEqual([
    { match: '*', lr: 0 },
    { match: '/^head/g', lr: 0.1 },
  ])
})

test('a group may be of parameters that this training freezes', async () => {
  const optimizer = sgd({ groups: [{ match: 'blocks.*', lr: 0.01 }] })
  const run = new Trainer<SingleStep>(cpu, model, { task: classification(), freeze: 'blocks.*', optimizer })
  expect((await run.step(batch)).loss).toBeGreaterThan(0)
  await run.close()
})

test.each([
  [
    () => trained(sgd({ groups: [{ match: 'haed.*', lr: 0 }] })),
    'no parameter matches haed.*; their names are like cls_token, pos_embed, patch_embed.proj.weight',
  ],
  [
    async () => sgd({ groups: [{ match: /a/, weightDecay: -1 }] }),
    'sgd: weightDecay of group /a/ must be a number of at least 0, not -1',
  ],
  [
    async () => adamW({ lr: 0, groups: [{ match: 'head.*', lr: 1 }] }),
    "adamw: group head.* has a learning rate, so the optimizer's must be above 0",
  ],
])('groups that make no sense are refused', async (make, message) => {
  await expect(make()).rejects.toThrow(message)
})
