import { type Attr, type Attrs, isNumbers } from './attributes.ts'
import type { DType } from './dtype.ts'
import { type Graph, isLeaf, nodesOf, type Tensors } from './graph.ts'
import type { Int64 } from './int64.ts'
import { Constant, constantOf, SizeOf } from './leaf.ts'
import { show } from './shape.ts'
import type { Tensor } from './tensor.ts'

const SHORT: Readonly<Record<DType, string>> = {
  float16: 'f16',
  float32: 'f32',
  float64: 'f64',
  int8: 'i8',
  uint8: 'u8',
  int16: 'i16',
  uint16: 'u16',
  int32: 'i32',
  uint32: 'u32',
  int64: 'i64',
  uint64: 'u64',
  bool: 'bool',
}

const number = (v: Int64): string => (typeof v === 'bigint' ? String(v) : String(Number(v.toPrecision(6))))

function attrText(value: Attr): string {
  if (isNumbers(value))
    return `[${Array.from<Int64, string>(value.slice(0, 6), number).join(',')}${value.length > 6 ? ',…' : ''}]`
  if (Array.isArray(value)) return `[${value.join(',')}]`
  return typeof value === 'number' ? number(value) : String(value)
}

const attrsText = (attrs: Attrs): string => {
  const given = Object.entries(attrs).filter(([, v]) => v !== undefined)
  return given.length ? ` {${given.map(([k, v]) => `${k}=${attrText(v)}`).join(' ')}}` : ''
}

/**
 * A graph as text, one line a node in dependency order: `v2:f32[2,3] = Add(v1, bias)`. Computed tensors are numbered,
 * so equal graphs give equal text; constants stand where they are read.
 */
export function print(graph: Graph): string {
  const names = new Map<Tensor, string>()
  const typed = (t: Tensor): string => `${names.get(t)}:${SHORT[t.dtype]}${show(t.shape)}`
  const lines: string[] = []
  const declare = (kind: string, tensors: Tensors): void => {
    for (const [name, t] of Object.entries(tensors)) {
      names.set(t, name)
      lines.push(`${kind} ${typed(t)}`)
    }
  }
  declare('input', graph.inputs)
  declare('parameter', graph.parameters)

  const text = (t: Tensor): string => names.get(t) ?? leafText(t)
  let count = 0
  for (const node of nodesOf(graph)) {
    if (isLeaf(node)) continue
    for (const t of node.outputs) names.set(t, `v${count++}`)
    const { op } = node
    const type = op.domain ? `${op.domain}.${op.type}` : op.type
    const inputs = node.inputs.map(text).join(', ')
    lines.push(`${node.outputs.map(typed).join(', ')} = ${type}(${inputs})${attrsText(node.attrs)}`)
  }
  const outputs = Object.entries(graph.outputs).map(([name, t]) => `${name}=${text(t)}`)
  return [...lines, `return ${outputs.join(', ')}`].join('\n')
}

/** A constant by its value (one number when all are equal), the size of a dim as `#batch`. */
function leafText(t: Tensor): string {
  const { op, attrs } = t.node
  if (op === SizeOf) return `#${attrs.dim}`
  if (op !== Constant) return `?${String(attrs.name ?? op.type)}`
  const data = constantOf(t.node)
  const [first = 0] = data
  const value = data.length === 1 ? number(first) : attrText(data)
  return t.shape.length ? `${value}:${SHORT[t.dtype]}${show(t.shape)}` : value
}
