import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Finished, workFolder, writeDigits } from './program.ts'

// Small tunes that several files of tests begin, stop and compare.

export const folder = await workFolder()
export const data = join(folder, 'digits')
export const space = join(folder, 'space.json')
export const tiny = ['--hidden', '8', '--data', data]
const search = ['--trials', '4', '--epochs', '4', '--eta', '2', '--val-split', '0.2', '--batch', '32']

export const tune = (...more: string[]) => ['tune', 'mlp', '--space', space, ...tiny, ...search, ...more]

export interface Result {
  readonly winner: { readonly trial: number; readonly command: string; readonly out: string } & Numbers
  readonly trials: readonly ({ trial: number; epochs: number; status: string; failure?: string } & Numbers)[]
}
type Numbers = Readonly<Record<'valAccuracy' | 'valLoss' | 'testAccuracy' | 'seconds', number>>

export const resultOf = ({ json }: Finished) => json as unknown as Result

/** What stays the same from one tune to another. */
export const essence = (finished: Finished) => {
  const { winner, trials } = resultOf(finished)
  const { seconds: _, out: __, ...best } = winner
  return { best, trials: trials.map(({ seconds: _, ...trial }) => trial) }
}

export const lines = async (path: string) =>
  (await readFile(join(path, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, number>)

export const epochsIn = async (out: string): Promise<number> => {
  const trials = await readdir(join(out, 'trials')).catch(() => [])
  const of = await Promise.all(trials.map(t => lines(join(out, 'trials', t)).catch(() => [])))
  return of.flat().filter(line => line.epoch !== undefined).length
}

/** Writes what they are trained on and what they search. */
export async function begin(): Promise<void> {
  await mkdir(data)
  await writeDigits(data, 300, 60)
  await writeFile(space, JSON.stringify({ lr: { log: [1e-4, 3e-2] }, dropout: [0, 0.1] }))
}
