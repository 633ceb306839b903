import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import { bundled } from '../shared.ts'
import { complaint, onnxgrad, start, workFolder } from './program.ts'

const folder = await workFolder()
const module = join(folder, 'product.mjs')
const SLOW = ['--batch', '1', '--save-every', '0', '--epochs', '3']

/** A regression of a user's own, in a module that takes its model's size from a setting. */
const source = `
import { adamW, average, defineRun, linear, model, mse, ops, setting, task } from '${pathToFileURL(bundled('node'))}'

let state = 7
const random = () => (state = (state * 16807) % 2147483647) / 2147483647
const points = count => {
  const x = Array.from({ length: count }, () => [random(), random()])
  return { x, y: x.map(([a, b]) => [a * b]) }
}
const data = { train: points(600), val: points(100) }
export default defineRun({
  name: 'product',
  settings: { hidden: setting.whole('units of the hidden layer', { default: 8 }) },
  model: ({ hidden }) => model({
    inputs: { x: { shape: [2] } },
    layers: { a: linear(2, hidden), b: linear(hidden, 1) },
    forward: (self, { x }) => ({ y: self.b(ops.tanh(self.a(x))) }),
  }),
  task: net => task(net, {
    targets: { y: { shape: [1] } },
    loss: ({ out, target }) => mse(out.y, target.y),
    metrics: { mae: ({ out, target }) => average(ops.abs(ops.sub(out.y, target.y))) },
  }),
  data: () => data,
  freeze: 'a.bias',
  defaults: { epochs: 2, batch: 20, lr: 1e-2 },
})
`
beforeAll(() => writeFile(module, source))

const train = (...args: string[]) => onnxgrad('train', module, '--json', ...args)
const bytes = (run: string) => readFile(join(run, 'model.onnx'))

it('a module trains a model and task of its own, with its settings as flags', async () => {
  const out = join(folder, 'own')
  const { code, json, stderr } = await train('--hidden', '5', '--out', out)
  expect([code, stderr.match(/onnxgrad: .*/)]).toEqual([0, null])
  expect(json).toMatchObject({ verified: true, parameters: 21, epochs: 2 })
  expect(Number(json.valMae)).toBeLessThan(0.2)
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  expect(config).toMatchObject({ model: { name: 'product', config: { hidden: 5 } }, module })
  expect(config).toMatchObject({ metric: 'mae', batch: 20, optimizer: { name: 'adam', lr: 0.01 } })
  const measured = await train('--profile', '--no-verify', '--no-report', '--out', join(folder, 'measured'))
  const { layers, operators, runs } = measured.json.profile as Record<'layers' | 'operators', object> & {
    runs: number
  }
  expect(runs).toBeGreaterThan(30)
  expect(Object.keys(layers)).toEqual(expect.arrayContaining(['a', 'b', 'optimizer']))
  const total = (times: object) => Object.values(times).reduce((sum: number, ms: number) => sum + ms, 0)
  expect(total(operators)).toBeCloseTo(total(layers), 6)
  expect(measured.json.valMae).toBe((await train('--out', join(folder, 'plain'))).json.valMae)
  const help = await onnxgrad('train', module, '--help', '--help-all')
  expect(help.stdout).toMatch(/--hidden +units of the hidden layer/)
  const wrong = async (...args: string[]) =>
    complaint(await train('--out', join(folder, 'no'), ...args)).join()
  expect(await wrong('--hidden', '0')).toBe('onnxgrad: --hidden must be a whole number of at least 1, not 0')
  expect(await wrong('--data', 'mnist')).toContain('--data is for models that come with onnxgrad')
  expect(await wrong('--metric', 'accuracy')).toContain(
    '--metric: accuracy is not measured; choose one of loss, mae',
  )
})

it('its run is killed, stopped and resumed to the same bytes', async () => {
  const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')]
  expect((await train(...SLOW, '--out', whole)).code).toBe(0)
  const until = async (args: readonly string[], reached: RegExp, signal: 'SIGKILL' | 'SIGINT') => {
    const { child, finished } = start(args)
    const lines = () => readFile(join(killed, 'metrics.jsonl'), 'utf8').catch(() => '')
    while (!reached.test(await lines()) && child.exitCode === null)
      await new Promise(done => setTimeout(done, 10))
    child.kill(signal)
    return finished
  }
  expect((await until(['train', module, ...SLOW, '--out', killed], /"epoch":1/, 'SIGKILL')).code).toBeNull()
  const stopped = await until(['train', '--resume', killed], /"epoch":2/, 'SIGINT')
  expect(stopped.code).toBe(130)
  expect(stopped.stderr).toContain(`to resume: npx onnxgrad train --resume ${killed}`)
  const last = await onnxgrad('train', '--resume', killed, '--json')
  expect([last.code, complaint(last)]).toEqual([0, []])
  expect(await bytes(killed)).toEqual(await bytes(whole))
  // Time counts on over both interruptions, and steps take no more of it than there is.
  const lines = (await readFile(join(killed, 'metrics.jsonl'), 'utf8')).trim().split('\n')
  const times = lines.map(line => JSON.parse(line) as { seconds: number; stepSeconds?: number })
  expect(times.map(t => t.seconds)).toEqual(times.map(t => t.seconds).sort((a, b) => a - b))
  const steps = times.reduce((sum, t) => sum + (t.stepSeconds ?? 0), 0)
  expect(steps).toBeLessThan(times.at(-1)!.seconds)
  const page = join(folder, 'compare.html')
  const compared = await onnxgrad('compare', whole, killed, join(folder, 'own'), '--out', page, '--json')
  const runs = compared.json.runs as { out: string; settings: object; figures: Record<string, number> }[]
  expect(runs.map(run => run.out)).toEqual([whole, killed, join(folder, 'own')])
  expect(runs[0]!.figures.valMae).toBe(runs[1]!.figures.valMae)
  expect(runs.map(run => run.settings)).toMatchObject([
    { hidden: '8', batch: '1', epochs: '3' },
    { hidden: '8' },
    { hidden: '5', batch: '20', epochs: '2' },
  ])
  expect(await readFile(page, 'utf8')).toContain('Validation mae of 3 runs by epoch')
  expect(complaint(await onnxgrad('compare', folder, '--out', page)).length).toBe(0)
  expect(complaint(await onnxgrad('compare', join(folder, 'nothing'))).join()).toContain(
    'is not a run folder',
  )
  // Its report, written again, and its model as another file.
  expect((await onnxgrad('report', killed)).code).toBe(0)
  expect(await readFile(join(killed, 'report.html'), 'utf8')).toContain('mae')
  expect((await onnxgrad('export', killed, '--out', join(folder, 'x.onnx'))).code).toBe(0)
})

it('its settings are searched for, by its own metric', async () => {
  const space = join(folder, 'space.json')
  await writeFile(space, JSON.stringify({ hidden: [2, 6], lr: { log: [1e-3, 1e-1] } }))
  const out = join(folder, 'tuned')
  const args = ['tune', module, '--space', space, '--trials', '3', '--epochs', '3', '--out', out, '--json']
  const { code, json, stderr } = await onnxgrad(...args)
  expect([code, stderr.match(/onnxgrad: .*/)]).toEqual([0, null])
  const trials = json.trials as { trial: number; valMae: number; status: string }[]
  expect(trials.map(t => t.status)).toEqual(['winner', 'dropped', 'dropped'])
  const { command, valMae } = json.winner as { command: string; valMae: number }
  expect(command).toMatch(/^npx onnxgrad train \S+product\.mjs --hidden \d --lr /)
  const again = await onnxgrad(...command.split(' ').slice(2), '--out', join(folder, 'again'), '--json')
  expect(again.json.valMae).toBe(valMae)
})

it('a module without a run is refused in one line, and one that has been moved is asked for', async () => {
  const none = join(folder, 'none.mjs')
  await writeFile(none, 'export const run = 1\n')
  expect(complaint(await onnxgrad('train', none)).join()).toContain('its default export is not a run')
  expect(complaint(await onnxgrad('train', join(folder, 'nowhere.mjs'))).join()).toContain('does not exist')
  await mkdir(join(folder, 'moved'))
  const [here, there] = [join(folder, 'here.mjs'), join(folder, 'moved/there.mjs')]
  await writeFile(here, source)
  const out = join(folder, 'lost')
  expect((await onnxgrad('train', here, '--out', out, '--epochs', '1')).code).toBe(0)
  await writeFile(there, source)
  await writeFile(here, 'throw new Error("gone")\n')
  const lost = await onnxgrad('train', '--resume', out, '--epochs', '2')
  expect(complaint(lost).join()).toContain('name it: onnxgrad train MODULE --resume RUN')
  expect((await onnxgrad('train', there, '--resume', out, '--epochs', '2')).code).toBe(0)
})
