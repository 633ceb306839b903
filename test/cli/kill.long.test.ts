import { it } from 'vitest'
import { killedChain } from './kills.ts'

const KILLS = 20
/** Runs that are trained, and killed, at the same time. */
const CHAINS = 2

it('a run that is killed again and again comes to the same bytes and lines as one that never was', () =>
  Promise.all(Array.from({ length: CHAINS }, (_, i) => killedChain(i, KILLS / CHAINS))))
