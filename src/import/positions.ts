import { type Dim, UNKNOWN } from '../graph/dim.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { sub } from '../ops/elementwise.ts'
import { arange } from '../ops/fill.ts'
import { fill } from '../ops/layout.ts'
import { cumsum } from '../ops/scan.ts'
import { unsupported } from './unsupported.ts'

/** Longer lists are not written out: a file of a few bytes may name any size. */
const MOST_WRITTEN = 1024

/** 0, 1, … of an axis whose size may be a symbol, as int64. */
export function positions(size: Dim): AnyTensor {
  if (size === UNKNOWN)
    return unsupported('positions along a size that only the run time finds are not supported')
  if (typeof size === 'number' && size <= MOST_WRITTEN) return arange(size, 'int64')
  return sub(cumsum(fill(1, 'int64', [size]), 0), 1)
}
