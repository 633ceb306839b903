// Numbers as people read them.

export const count = (n: number): string => n.toLocaleString('en-US')

/** Its sign does not come on a line of its own. */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}\u00a0%`

/** Such as `8 s`, `2 min 05 s`, `1 h 12 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** With tenths of a second where it is short. */
export const precise = (seconds: number): string =>
  seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds)

/** Such as `1 epoch`, `2,000 epochs`. */
export const counted = (n: number, thing: string): string => `${count(n)} ${thing}${n === 1 ? '' : 's'}`

/** A loss or metric: accuracies as a percentage. */
export const figure = (name: string, value: number): string =>
  /accuracy$/i.test(name) ? percent(value, 2) : value.toFixed(4)
