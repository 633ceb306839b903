import { it } from 'vitest'
import { killedChain } from './kills.ts'

it(
  'a run that is killed comes to the same bytes and lines as one that never was',
  {
    timeout: 300_000,
  },
  () =>
    // Twenty kills: kill.long.test.ts.
    killedChain(0, 1),
)
