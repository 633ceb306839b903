import type { Argv } from 'yargs'
import { UserError } from '../graph/errors.ts'
import type { TuneRecord, TuneSettings } from '../tune/record.ts'
import { givenFlags } from './command-line.ts'
import { readFlags } from './options.ts'
import { trainingFlags } from './train-flags.ts'

const group = 'Search:'

/** Flags of `tune`: those of a training, which all trials share, and its own. As there, defaults are left to TUNE_DEFAULTS. */
export const tuneFlags = (yargs: Argv) =>
  trainingFlags(yargs)
    .option('space', {
      type: 'string',
      describe:
        'JSON file, or a module with a default export: for each flag that varies a range {"log": [1e-4, 1e-2]}, {"uniform": [0, 0.1]}, {"int": [2, 6]} or a list of values',
      group,
    })
    .option('strategy', {
      choices: ['halving', 'random'] as const,
      defaultDescription: 'halving',
      describe:
        'halving: train all trials a little and the best of them further (successive halving); random: train all of them fully',
      group,
    })
    .option('trials', {
      type: 'number',
      defaultDescription: '16',
      describe: 'Points of the space to try',
      group,
    })
    .option('epochs', {
      type: 'number',
      defaultDescription: '8',
      describe: 'Epochs of a full trial, for which schedules are made',
    })
    .option('min-epochs', {
      type: 'number',
      defaultDescription: '1',
      describe: 'Epochs of every trial before the best continue',
      group,
    })
    .option('eta', {
      type: 'number',
      defaultDescription: '3',
      describe: 'One in ETA trials continues, to about ETA times the epochs',
      group,
    })
    .option('seed', {
      type: 'number',
      defaultDescription: '0',
      describe: 'Chooses the points, and is the seed of every trial',
    })
    .option('resume', {
      type: 'string',
      describe: 'Resume the tune of a folder, optionally with more --trials',
      group,
    })
    .option('out', {
      type: 'string',
      describe:
        'Folder of the tune, which is resumed if it is there already [default: runs/tune-<model>, numbered if taken by another tune]',
      group: 'Output:',
    })
    .config('config', 'JSON file with any of these flags; flags on the command line win', readFlags)
    .example('$0 tune vit --space space.json', '16 trials: 5 of them continue to epoch 3, one to epoch 8')
    .example('$0 tune vit --space space.json --preset small --limit 10000', 'on fewer images')
    .example('$0 tune --resume runs/tune-vit', 'resume a tune that was stopped')

export type TuneFlags = ReturnType<typeof tuneFlags> extends Argv<infer T> ? T : never

/** Flags that are not those of a trial. */
const OWN: readonly (keyof TuneFlags)[] = [
  'space',
  'strategy',
  'trials',
  'epochs',
  'min-epochs',
  'eta',
  'seed',
  'resume',
  'out',
]

const TUNE_DEFAULTS = { strategy: 'halving', trials: 16, epochs: 8, minEpochs: 1, eta: 3, seed: 0 } as const

/** Settings as flags give them; nothing stands for those that are not given. */
export async function askedSettings(
  flags: TuneFlags,
  space: TuneSettings['space'] | undefined,
): Promise<Partial<TuneSettings>> {
  const { model, strategy, trials, epochs, eta, seed, 'min-epochs': minEpochs } = flags
  const own = { model, strategy, trials, epochs, minEpochs, eta, seed, space }
  for (const [name, n] of Object.entries({ trials, epochs, 'min-epochs': minEpochs }))
    if (n !== undefined && !(Number.isSafeInteger(n) && n >= 1))
      throw new UserError(`--${name} must be a whole number of at least 1, not ${n}`)
  if (eta !== undefined && !(Number.isFinite(eta) && eta >= 2))
    throw new UserError(`--eta must be a number of at least 2, not ${eta}`)
  if (seed !== undefined && !Number.isSafeInteger(seed))
    throw new UserError(`--seed must be a whole number, not ${seed}`)
  const given = Object.entries(own).filter(([, value]) => value !== undefined)
  return { ...Object.fromEntries(given), flags: await givenFlags(flags, OWN) }
}

/** @throws UserError when there is nothing to tune, or the rungs do not fit */
export function wholeSettings(asked: Partial<TuneSettings>): TuneSettings {
  const { model, space } = asked
  if (model === undefined || space === undefined)
    throw new UserError('say what to tune, and in which space: onnxgrad tune vit --space space.json')
  const settings = { model, ...TUNE_DEFAULTS, flags: {}, ...asked, space }
  const { strategy, minEpochs, epochs } = settings
  if (strategy === 'halving' && minEpochs > epochs)
    throw new UserError(`--min-epochs ${minEpochs} is more than the --epochs ${epochs} of a whole trial`)
  return settings
}

/** Settings under the names that a user knows; what was decided where they left it open is none. */
const named = ({ flags = {}, minEpochs, model, valSplit, fingerprints, ...own }: Partial<TuneRecord>) =>
  Object.entries({ model, ...own, 'min-epochs': minEpochs, ...flags }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, said(value)] as const],
  )

const said = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

/**
 * What is asked for that a tune does not do, as it is said to a user. More trials are no difference.
 * @param whole whether what is not asked for must not be set either
 */
export function differences(had: TuneRecord, asked: Partial<TuneSettings>, whole: boolean): string[] {
  const [theirs, ours] = [new Map(named(had)), new Map(named(asked))]
  const names = [...new Set([...(whole ? theirs.keys() : []), ...ours.keys()])]
  const more = (name: string) => name === 'trials' && Number(ours.get(name)) >= had.trials
  return names
    .filter(name => theirs.get(name) !== ours.get(name) && !more(name))
    .map(
      name =>
        `${name === 'model' ? 'the model' : `--${name}`} is ${theirs.get(name) ?? 'not set'} in this tune, not ${ours.get(name) ?? 'left out'}`,
    )
}

/** @throws UserError with all {@link differences} */
export function refuseOtherTune(...of: [...Parameters<typeof differences>, folder: string]): void {
  const [had, asked, whole, folder] = of
  const found = differences(had, asked, whole)
  if (found.length) throw new UserError(`${folder}: ${found.join('; ')}`)
}
