// Deep Q-learning: find the way through the gap in a wall. `copy` moves the learned network to the target network.
//
//   npx tsx examples/dqn.ts [policy.onnx]

import { adam, huber, layer, linear, model, ops, rng, save, task, trainer } from 'onnxgrad/node'

const [SIDE, CELLS, STEPS] = [6, 36, 2000]
const random = rng(1)

/** A move on the board, from the top left to the bottom left corner; row 3 is a wall with a gap at its right end. */
function move(state: number, action: number) {
  const row = Math.floor(state / SIDE) + Number([0, 0, 1, -1][action])
  const column = (state % SIDE) + Number([1, -1, 0, 0][action])
  const free = [row, column].every(v => v >= 0 && v < SIDE) && (row !== 3 || column === SIDE - 1)
  const next = free ? row * SIDE + column : state
  const done = next === CELLS - SIDE
  return { state, action, next, reward: done ? 1 : 0, discount: done ? 0 : 0.95 }
}

const network = () =>
  layer({ a: linear(CELLS, 64), b: linear(64, 4) }, ['B', CELLS], (self, x) => self.b(ops.relu(self.a(x))))

// The model is the policy; only the loss uses the target network, and it is not exported.
const net = model({
  name: 'policy',
  inputs: { state: { shape: [], dtype: 'int32' } },
  layers: { q: network(), target: network() },
  forward: (self, { state }) => ({ best: ops.argmax(self.q(ops.oneHot(state, CELLS)), 1) }),
})
const integer = (below: number) => ({ shape: [], dtype: 'int32', below }) as const
const learning = task(net, {
  targets: { action: integer(4), next: integer(CELLS), reward: { shape: [] }, discount: { shape: [] } },
  loss: ({ self, input, target: { action, next, reward, discount } }) => {
    const value = ops.sum(ops.mul(self.q(ops.oneHot(input.state, CELLS)), ops.oneHot(action, 4)), 1)
    const future = ops.max(self.target(ops.oneHot(next, CELLS)), 1)
    return huber(value, ops.add(reward, ops.mul(discount, future)))
  },
})

await using t = await trainer(net, { task: learning, train: 'q.*', optimizer: adam({ lr: 3e-3 }) })
const best = async (state: number) => Number((await t.predict({ state: [state] })).best?.data[0])
const replay: ReturnType<typeof move>[] = []
for (let step = 1, state = 0; step <= STEPS; step++) {
  if (step % 50 === 1) await t.copy('q', 'target')
  const action = random.uniform() > step / STEPS ? random.int(4) : await best(state) // ε-greedy
  const transition = move(state, action)
  state = transition.reward ? 0 : transition.next
  replay.push(transition)
  const sample = Array.from({ length: 64 }, () => replay[random.int(replay.length)] ?? transition)
  const column = (key: keyof typeof transition) => sample.map(s => s[key])
  const [next, reward, discount] = [column('next'), column('reward'), column('discount')]
  const { loss } = await t.step({ state: column('state'), action: column('action'), next, reward, discount })
  if (step % 500 === 0) console.log(`step ${step}: loss ${loss.toFixed(6)}`)
}
if (process.argv[2]) await save(await t.trained(), process.argv[2])
let [cell, moves] = [0, 0]
for (; cell !== CELLS - SIDE && moves < 99; moves++) cell = move(cell, await best(cell)).next
console.log(`the goal is reached in ${moves} moves; the shortest way has 15`)
