import { UserError } from '../graph/errors.ts'

/** Name of the state vector that holds the moving average of the parameters. */
export const EMA = 'ema'
/** Name of the scalar 1 − decay that an update takes. */
export const EMA_RATE = 'ema.rate'

/**
 * How much of the average stays at a step: `decay`, and less over the first steps, min(decay, (1 + t) / (10 + t)), so that
 * the initial parameters are soon forgotten (as tf.train.ExponentialMovingAverage with its number of updates).
 * @param step counted from 1
 */
export const emaDecay = (decay: number, step: number): number => Math.min(decay, (1 + step) / (10 + step))

/** @throws UserError for a decay that is not in (0, 1) */
export function checkEma(decay: number | undefined): void {
  if (decay !== undefined && !(decay > 0 && decay < 1))
    throw new UserError(`ema: the decay must be above 0 and below 1, such as 0.999, not ${decay}`)
}
