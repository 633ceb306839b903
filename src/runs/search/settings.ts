import { choice, number, type Schema, whole } from '../../settings/setting.ts'

const SEARCH = { group: 'Search', common: true } as const

/** Settings of a search, beside those of its trials; `epochs` and `seed` have the place of a run's. */
export const SEARCH_SETTINGS = {
  strategy: choice(
    'halving: train all trials a little and the best of them further (successive halving); random: train all of them fully',
    ['halving', 'random'],
    { ...SEARCH, default: 'halving' },
  ),
  trials: whole('Points of the space to try', { ...SEARCH, default: 16 }),
  epochs: whole('Epochs of a full trial, for which schedules are made', { ...SEARCH, default: 8 }),
  minEpochs: whole('Epochs of every trial before the best continue', { ...SEARCH, default: 1 }),
  eta: number('One in ETA trials continues, to about ETA times the epochs', {
    ...SEARCH,
    least: 2,
    default: 3,
  }),
  seed: number('Chooses the points, and is the seed of every trial', {
    ...SEARCH,
    whole: true,
    least: Number.MIN_SAFE_INTEGER,
    most: Number.MAX_SAFE_INTEGER,
    default: 0,
  }),
} as const satisfies Schema
