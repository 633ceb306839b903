import type { Attr, TensorType } from './attributes.ts'
import type { Op } from './node.ts'
import { noGradient } from './op.ts'
import type { Shape } from './shape.ts'

const shapeOf = (value: Attr): Shape => {
  if (Array.isArray(value)) return value
  throw new Error('internal: not a shape')
}

/**
 * An operator that is kept as a file has it: its outputs have the types that the file states. Attributes: `node`, the file's node as
 * text, and `shape0`, `shape1`, … of the outputs. @param version of its domain in the file
 */
export const keptOp = (type: string, domain: string, outputs: readonly TensorType[], version: number): Op => {
  const refused = () => {
    throw new Error(`internal: ${type} is not applied`)
  }
  return {
    type,
    ...(domain ? { domain } : {}),
    inputs: ['...inputs'],
    outputs: outputs.map((_, i) => `Y${i}`),
    kept: { version },
    infer: (_, attrs) => outputs.map(({ dtype }, i) => ({ dtype, shape: shapeOf(attrs[`shape${i}`]) })),
    vjp: noGradient('it is kept as its file has it; freeze the layers before it'),
    apply: refused,
    applyAll: refused,
  }
}
