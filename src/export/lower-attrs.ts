import type { Attr, AttrForm } from '../graph/attributes.ts'
import { UserError } from '../graph/errors.ts'
import { type Int64, saturated } from '../graph/int64.ts'
import type { Node } from '../graph/node.ts'
import { lookup, nth } from '../graph/present.ts'
import type { Shape } from '../graph/shape.ts'
import type { AttributeProto } from './onnx-proto.ts'
import { DATA_TYPE } from './tensor-data.ts'

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text)

const isInt64 = (v: unknown): v is Int64 => typeof v === 'bigint' || Number.isSafeInteger(v)

/** @throws UserError for what is not an integer, or does not fit in 64 bits */
export function integersOf(name: string, { saturates }: AttrForm, value: Attr): Int64[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.map(v => {
    if (isInt64(v)) return v
    if (saturates && Math.abs(Number(v)) > Number.MAX_SAFE_INTEGER) return saturated(Number(v))
    throw new UserError(`${name} is ${v}; it must be an integer within ±2^53`)
  })
}

/** The shape that an attribute holds. */
export function shapeOf(name: string, value: Attr): Shape {
  if (Array.isArray(value)) return value
  throw new Error(`internal: ${name} is not a shape`)
}

/** The numbers that an attribute holds. */
export const floatsOf = (value: Attr): number[] => (Array.isArray(value) ? value.map(Number) : [])

/** ONNX AttributeProto.AttributeType: FLOAT 1, INT 2, STRING 3, GRAPH 5, FLOATS 6, INTS 7, STRINGS 8. */
export function attributeOf(own: string, form: AttrForm, node: Node, opset: number): AttributeProto {
  const { name = own } = form
  const given = node.attrs[own]
  const value = form.written ? form.written(given, opset) : given
  switch (form.kind) {
    case 'float':
    case 'scalar':
      return { name, type: 1, f: Number(value) }
    case 'int':
      return { name, type: 2, i: nth(integersOf(name, form, value), 0) }
    case 'bool':
      return { name, type: 2, i: value ? 1 : 0 }
    case 'dtype':
      return { name, type: 2, i: lookup(DATA_TYPE, String(value)) }
    case 'string':
      return { name, type: 3, s: encoded(String(value)) }
    case 'floats':
      return { name, type: 6, floats: floatsOf(value) }
    case 'names':
      return { name, type: 8, strings: String(value).split(',').map(encoded) }
    default:
      return { name, type: 7, ints: integersOf(name, form, value) }
  }
}
