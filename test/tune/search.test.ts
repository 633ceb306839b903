import { expect, test } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { fields, halvingRungs, next, order, type Search, winner } from '../../src/runs/search/search.ts'
import type { Standing } from '../../src/runs/standing.ts'

/** What a trial comes to after an epoch, from 1. */
type Course = (trial: number, epoch: number) => { readonly accuracy: number; readonly loss: number }

const fresh = (count: number): Standing[] =>
  Array.from({ length: count }, () => ({ epochs: [], ended: false, failed: false }))

const halving = (least: number, epochs: number, eta: number, metric: Search['metric'] = 'accuracy') => ({
  rungs: halvingRungs(least, epochs, eta),
  eta,
  metric,
})

interface World {
  readonly course: Course
  /** The epoch in which a trial fails. */
  readonly fails?: (trial: number) => number | undefined
  /** The epoch after which its patience ends a trial. */
  readonly ends?: (trial: number) => number | undefined
}

/** Trains a trial to an epoch, or until it is killed after `most` epochs more. */
function train(
  { epochs, ...standing }: Standing,
  trial: number,
  until: number,
  last: number,
  world: World,
  most = Number.POSITIVE_INFINITY,
): Standing {
  const done = [...epochs]
  for (let n = 0; done.length < until; n++) {
    if (n === most) return { ...standing, epochs: done }
    if (world.fails?.(trial) === done.length + 1) return { ...standing, epochs: done, failed: true }
    done.push(world.course(trial, done.length + 1))
    if (world.ends?.(trial) === done.length) return { ...standing, epochs: done, ended: true }
  }
  return { ...standing, epochs: done, ended: until === last }
}

/** Searches to the end. @param killed after how many epochs a training is killed, asked anew for each */
function run(search: Search, begun: readonly Standing[], world: World, killed?: () => number) {
  const standings = [...begun]
  const done: [trial: number, until: number][] = []
  for (let todo = next(search, standings); todo; todo = next(search, standings)) {
    const { trial, until } = todo
    standings[trial] = train(standings[trial]!, trial, until, search.rungs.at(-1)!, world, killed?.())
    done.push([trial, until])
    if (done.length > 10_000) throw new Error('the search does not end')
  }
  return { standings, done, winner: winner(search, standings) }
}

/** Trial t comes to ranks[t] in every epoch. */
const constant =
  (...accuracies: number[]): Course =>
  trial => ({ accuracy: accuracies[trial]!, loss: 1 })

const trainedTo = (done: readonly [number, number][], until: number) =>
  done.filter(([, to]) => to === until).map(([trial]) => trial)

test('rungs go from the first to the last epoch in proportions near eta', () => {
  expect(halvingRungs(1, 27, 3)).toEqual([1, 3, 9, 27])
  expect(halvingRungs(1, 8, 3)).toEqual([1, 3, 8])
  expect(halvingRungs(2, 20, 4)).toEqual([2, 6, 20])
  expect(halvingRungs(5, 8, 3)).toEqual([5, 8])
  expect(halvingRungs(8, 8, 3)).toEqual([8])
  for (let least = 1; least < 12; least++)
    for (let epochs = least + 1; epochs < 90; epochs++)
      for (const eta of [2, 2.5, 3, 4, 10]) {
        const rungs = halvingRungs(least, epochs, eta)
        expect([rungs[0], rungs.at(-1)]).toEqual([least, epochs])
        for (const [i, rung] of rungs.slice(1).entries()) expect(rung).toBeGreaterThan(rungs[i]!)
      }
})

test('the best third goes on from each rung, and the best of the last wins', () => {
  const accuracies = [0.1, 0.9, 0.3, 0.8, 0.5, 0.2, 0.7, 0.6, 0.4]
  const { done, winner: best } = run(halving(1, 9, 3), fresh(9), { course: constant(...accuracies) })
  expect(trainedTo(done, 1)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  expect(trainedTo(done, 3)).toEqual([1, 3, 6])
  expect(trainedTo(done, 9)).toEqual([1])
  expect(best).toBe(1)
})

test('halving trains as many epochs as its rungs have places', () => {
  for (const [trials, least, epochs, eta] of [
    [16, 1, 8, 3],
    [27, 1, 27, 3],
    [10, 2, 30, 2],
    [3, 1, 100, 5],
  ] as const) {
    const search = halving(least, epochs, eta)
    const { standings } = run(search, fresh(trials), { course: t => ({ accuracy: 1 / (t + 1), loss: 0 }) })
    const budget = search.rungs.reduce((sum, rung, i) => {
      const places = Math.max(1, Math.floor(trials / eta ** i))
      return sum + places * (rung - (search.rungs[i - 1] ?? 0))
    }, 0)
    expect(standings.reduce((sum, s) => sum + s.epochs.length, 0)).toBe(budget)
  }
})

test('equal accuracies are told apart by the loss, and equal trials by their number', () => {
  const search = halving(1, 3, 3)
  const course: Course = trial => ({ accuracy: 0.5, loss: [1, 1, 0.5, 1, 0.5, 1][trial]! })
  const { done, winner: best } = run(search, fresh(6), { course })
  expect(trainedTo(done, 3)).toEqual([2, 4])
  expect(best).toBe(2)
  expect(trainedTo(run(search, fresh(6), { course: constant(1, 1, 1, 1, 1, 1) }).done, 3)).toEqual([0, 1])
})

test('by loss, the lowest goes on', () => {
  const course: Course = trial => ({ accuracy: trial / 10, loss: trial })
  expect(run(halving(1, 3, 3, 'loss'), fresh(6), { course }).winner).toBe(0)
  expect(run(halving(1, 3, 3, 'accuracy'), fresh(6), { course }).winner).toBe(5)
})

test('a trial is judged by its best epoch up to the rung, not by what came later', () => {
  // Trial 0 is best in epoch 1 and then falls; trial 1 would overtake all in epoch 3.
  const course: Course = (trial, epoch) => ({
    accuracy: [0.9 - epoch / 10, epoch === 3 ? 1 : 0.5, 0.6][trial]!,
    loss: 1,
  })
  const search = halving(1, 3, 3)
  const { done, winner: best } = run(search, fresh(3), { course })
  expect(trainedTo(done, 3)).toEqual([0])
  expect(best).toBe(0)
})

test('random search trains every trial to the end', () => {
  const search = { rungs: [4], eta: 3, metric: 'accuracy' } as const
  const { done, winner: best } = run(search, fresh(3), { course: constant(0.2, 0.4, 0.3) })
  expect(done).toEqual([
    [0, 4],
    [1, 4],
    [2, 4],
  ])
  expect(best).toBe(1)
})

test('a trial that fails leaves its place to the next best, whenever it fails', () => {
  const accuracies = [0.1, 0.9, 0.3, 0.8, 0.5, 0.2, 0.7, 0.6, 0.4]
  const world = { course: constant(...accuracies), fails: (t: number) => ({ 3: 1, 1: 2, 6: 5 })[t] }
  const { done, winner: best, standings } = run(halving(1, 9, 3), fresh(9), world)
  // 3 fails at once and 1 in the second rung, where 4 takes its place; 6 on its way to the end, where 7 does.
  expect(trainedTo(done, 3)).toEqual([1, 6, 7, 4])
  expect(trainedTo(done, 9)).toEqual([6, 7])
  expect(best).toBe(7)
  expect(
    order(halving(1, 9, 3), standings)
      .slice(-3)
      .sort(),
  ).toEqual([1, 3, 6])
})

test('where all fail there is no winner, and the search ends', () => {
  const { standings, winner: best } = run(halving(1, 9, 3), fresh(9), {
    course: constant(),
    fails: () => 1,
  })
  expect(best).toBeUndefined()
  expect(standings.every(s => s.failed)).toBe(true)
})

test('a trial that its patience has ended is not trained further, and can win', () => {
  const world = { course: constant(0.9, 0.5, 0.4), ends: (t: number) => (t === 0 ? 2 : undefined) }
  const search = halving(1, 9, 3)
  const { standings, winner: best } = run(search, fresh(3), world)
  expect(standings[0]).toMatchObject({ ended: true, failed: false })
  expect(standings[0]!.epochs).toHaveLength(2)
  expect(best).toBe(0)
})

test('a search that is killed again and again comes to the same standings and the same winner', () => {
  for (let seed = 0; seed < 60; seed++) {
    const { uniform, int } = rng(seed)
    const trials = 1 + int(12)
    const table = Array.from({ length: trials }, () =>
      Array.from({ length: 9 }, () => ({ accuracy: int(5) / 5, loss: int(3) })),
    )
    const failing = table.map(() => (uniform() < 0.2 ? 1 + int(9) : undefined))
    const world: World = {
      course: (trial, epoch) => table[trial]![epoch - 1]!,
      fails: trial => failing[trial],
    }
    const search = halving(1, 9, 3)
    const whole = run(search, fresh(trials), world)
    const killed = run(search, fresh(trials), world, () => (uniform() < 0.5 ? int(3) : 99))
    expect(killed.standings).toEqual(whole.standings)
    expect(killed.winner).toBe(whole.winner)
  }
})

test('with more trials, what is done stays, and only what is new is trained', () => {
  const accuracies = [0.1, 0.9, 0.3, 0.95, 0.99, 0.2]
  const search = halving(1, 3, 3)
  const world = { course: constant(...accuracies) }
  const few = run(search, fresh(3), world)
  expect(few.winner).toBe(1)
  const more = run(search, [...few.standings, ...fresh(3)], world)
  expect(more.done).toEqual([
    [3, 1],
    [4, 1],
    [5, 1],
    [4, 3],
    [3, 3],
  ])
  expect(more.winner).toBe(4)
})

test('while a rung is not done, the next one is not known', () => {
  const search = halving(1, 9, 3)
  const standings = fresh(3)
  expect(fields(search, standings)).toEqual([[0, 1, 2]])
  const world = { course: constant(0.1, 0.3, 0.2) }
  for (const t of [0, 2]) standings[t] = train(standings[t]!, t, 1, 9, world)
  expect(next(search, standings)).toMatchObject({ trial: 1, rung: 0, until: 1 })
  standings[1] = train(standings[1]!, 1, 1, 9, world)
  expect(fields(search, standings)).toEqual([[0, 1, 2], [1]])
  expect(winner(search, standings)).toBeUndefined()
})
