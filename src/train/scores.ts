/** Index of the largest of `size` values from `start`; the first at a tie. */
export function argmaxAt(values: ArrayLike<number>, start: number, size: number): number {
  let best = 0
  for (let i = 1; i < size; i++) if (Number(values[start + i]) > Number(values[start + best])) best = i
  return best
}

/** ln Σ exp of `size` values from `start`. */
export function logSumExpAt(values: ArrayLike<number>, start: number, size: number): number {
  const top = Number(values[start + argmaxAt(values, start, size)])
  let sum = 0
  for (let i = 0; i < size; i++) sum += Math.exp(Number(values[start + i]) - top)
  return top + Math.log(sum)
}
