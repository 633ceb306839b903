/** What a training is where nobody says otherwise; the settings of runs have the same defaults. */
export const DEFAULTS = { epochs: 5, batch: 64, accumulate: 1, seed: 0, saveEvery: 120 } as const
