import { existsSync, watch } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect } from 'vitest'
import { type Rng, rng } from '../../src/graph/random.ts'
import { onnxgrad, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const whole = join(folder, 'whole')

/** Everything that has a state of its own: dropout, moments, an average, augmentation, a best epoch, checkpoints within epochs. */
const SETTINGS = [
  ...['--preset', 'lecture', '--dim', '16', '--depth', '1', '--heads', '2', '--mlp', '16'],
  ...['--dropout', '0.1', '--drop-path', '0.1', '--ema', '0.9', '--shift', '0.1', '--mixup', '0.2'],
  ...['--epochs', '4', '--batch', '50', '--val-split', '100', '--data', data, '--limit', '600'],
]
/** What is not a setting of the run. */
const CARRIED = ['--no-verify', '--no-report', '--save-every', '0', '--steps-per-run', '4']
const fresh = (out: string) => ['train', 'vit', ...SETTINGS, ...CARRIED, '--out', out]

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 700, 100)
  expect(await onnxgrad(...fresh(whole))).toMatchObject({ code: 0 })
})

/** Lines of a file but for what the clock says, and where the run is. */
async function lines(out: string, name: string): Promise<object[]> {
  const text = await readFile(join(out, name), 'utf8')
  return text
    .trim()
    .split('\n')
    .map(line => {
      const {
        seconds,
        stepSeconds,
        epochSeconds,
        setupSeconds,
        examplesPerSecond,
        dataWaitShare,
        out: _,
        ...rest
      } = JSON.parse(line)
      return rest
    })
}

async function expectSame(out: string, story: string): Promise<void> {
  for (const name of ['model.onnx', 'last.safetensors', 'best.safetensors'] as const) {
    const [mine, theirs] = await Promise.all([out, whole].map(f => readFile(join(f, name))))
    expect(mine!.equals(theirs!), `${name} ${story}`).toBe(true)
  }
  for (const name of ['metrics.jsonl', 'steps.jsonl'])
    expect(await lines(out, name), `${name} ${story}`).toEqual(await lines(whole, name))
  // A run that was killed after its last line is done, and leaves its lock.
  const names = (await readdir(out)).filter(name => name !== 'lock')
  expect(names.sort(), story).toEqual((await readdir(whole)).sort())
}

const isDone = async (out: string): Promise<boolean> =>
  existsSync(join(out, 'metrics.jsonl')) &&
  (await readFile(join(out, 'metrics.jsonl'), 'utf8')).includes('"final":true')

/** Runs the program until its end, or until it is killed: some time after its start, or at a change of its folder. */
async function attempt(out: string, random?: Rng): Promise<{ killed: boolean; story: string }> {
  const args = existsSync(join(out, 'config.json')) ? ['train', '--resume', out, ...CARRIED] : fresh(out)
  const { child, finished } = start(args)
  let changes = 0
  let story = 'to its end'
  const kill = (when: string) => {
    if (child.kill('SIGKILL')) story = when
  }
  const watcher = watch(out)
  const kind = random?.int(6)
  if (random && (kind === 0 || kind === 1)) {
    const ms = random.int(1500)
    setTimeout(kill, ms, `after ${ms} ms`).unref()
  } else if (random) {
    // The model is written after all training.
    const first = kind === 2 ? 'model.onnx' : ''
    const at = 1 + random.int(kind === 2 ? 4 : 120)
    watcher.on('change', (_, name) => {
      if (String(name).startsWith(first) && ++changes === at) kill(`at change ${at}, of ${name}`)
    })
  }
  const { code, stderr } = await finished
  watcher.close()
  if (code !== null) expect(code, stderr).toBe(0)
  return { killed: code === null, story }
}

/** Trains runs that are killed at random moments, until there were as many kills; each comes to what `whole` did. */
export async function killedChain(number: number, most: number): Promise<void> {
  const random = rng(`kill ${number}`)
  for (let kills = 0, run = 0; kills < most; run++) {
    const out = join(folder, `killed-${number}-${run}`)
    const moments: string[] = []
    await mkdir(out)
    while (!(await isDone(out))) {
      const { killed, story } = await attempt(out, kills < most ? random : undefined)
      moments.push(story)
      if (killed) kills++
    }
    await expectSame(out, `(killed ${moments.join('; ')})`)
  }
}
