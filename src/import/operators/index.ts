import { isRedefined } from '../../graph/op.ts'
import type { Operator, Operators } from '../operator.ts'
import { ownOperator } from '../own.ts'
import { ACTIVATIONS } from './activation.ts'
import { ATTENTION, FUSED_ATTENTION } from './attention.ts'
import { ELEMENTWISE } from './elementwise.ts'
import { FUSED } from './fused.ts'
import { INDEXING } from './indexing.ts'
import { LAYOUT } from './layout.ts'
import { LOSSES } from './losses.ts'
import { MICROSOFT_NORMS, NORMS } from './norm.ts'
import { PRODUCTS } from './products.ts'
import { QUANTIZED } from './quantize.ts'
import { FUSED_QUANTIZED } from './quantize-fused.ts'
import { REARRANGING } from './rearranging.ts'
import { RECURRENT } from './recurrent.ts'
import { REDUCTIONS } from './reductions.ts'
import { RESAMPLING } from './resample.ts'
import { SAMPLING } from './sampling.ts'
import { VALUES } from './values.ts'
import { FUSED_WINDOWS, WINDOWS } from './window.ts'

/**
 * Operators of a file that are expressed with ops; those that are an op themselves are declared in src/ops. By domain: ONNX's own,
 * and what onnxruntime's optimizer writes.
 */
export const OPERATORS: Readonly<Record<string, Operators>> = {
  '': {
    ...ACTIVATIONS,
    ...ATTENTION,
    ...PRODUCTS,
    ...ELEMENTWISE,
    ...INDEXING,
    ...LAYOUT,
    ...LOSSES,
    ...NORMS,
    ...QUANTIZED,
    ...REARRANGING,
    ...RECURRENT,
    ...REDUCTIONS,
    ...RESAMPLING,
    ...SAMPLING,
    ...VALUES,
    ...WINDOWS,
  },
  'com.microsoft': {
    ...FUSED,
    ...FUSED_ATTENTION,
    ...FUSED_QUANTIZED,
    ...FUSED_WINDOWS,
    ...MICROSOFT_NORMS,
  },
}

/** How an operator is read; undefined for one that is an op itself, and for one that is not known. */
export function operatorOf(type: string, domain: string): Operator | undefined {
  const given = ownOperator(type, domain)
  if (given || isRedefined(type, domain)) return given
  const operators = Object.hasOwn(OPERATORS, domain) ? OPERATORS[domain] : undefined
  return operators && Object.hasOwn(operators, type) ? operators[type] : undefined
}
