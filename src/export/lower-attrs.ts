import type { Attr, AttrForm } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { type Int64, saturated } from '../graph/int64.ts'
import type { Node } from '../graph/node.ts'
import { nth } from '../graph/present.ts'
import type { AttributeProto } from './onnx-proto.ts'
import { DATA_TYPE } from './tensor-data.ts'

/** @throws UserError for what is not an integer, or does not fit in 64 bits */
export function integersOf(name: string, { saturates }: AttrForm, value: Attr): Int64[] {
  return [value as unknown as Int64 | readonly Int64[]].flat().map(v => {
    if (typeof v === 'bigint' || Number.isSafeInteger(v)) return v
    if (saturates && Math.abs(v) > Number.MAX_SAFE_INTEGER) return saturated(v)
    throw new UserError(`${name} is ${v}, where an integer within ±2^53 belongs`)
  })
}

/** ONNX AttributeProto.AttributeType: FLOAT 1, INT 2, STRING 3, GRAPH 5, INTS 7. */
export function attributeOf(own: string, form: AttrForm, node: Node): AttributeProto {
  const { name = own } = form
  const value = node.attrs[own]
  switch (form.kind) {
    case 'float':
    case 'scalar':
      return { name, type: 1, f: value as number }
    case 'int':
      return { name, type: 2, i: nth(integersOf(name, form, value), 0) }
    case 'bool':
      return { name, type: 2, i: value ? 1 : 0 }
    case 'dtype':
      return { name, type: 2, i: DATA_TYPE[value as DType] }
    case 'string':
      return { name, type: 3, s: new TextEncoder().encode(value as string) }
    default:
      return { name, type: 7, ints: integersOf(name, form, value) }
  }
}
