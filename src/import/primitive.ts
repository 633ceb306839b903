import type { Attr, AttrForm, Attrs, OnnxNode } from '../graph/attributes.ts'
import { UserError } from '../graph/errors.ts'
import { type Int64, saturated } from '../graph/int64.ts'
import { countOf, type Names } from '../graph/names.ts'
import type { Signature } from '../graph/node.ts'
import { printable } from '../graph/printable.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { asNumber, type NodeReader } from './node-reader.ts'
import { constantNumber, importedType } from './tensor.ts'
import { Unsupported, unsupported } from './unsupported.ts'

/** What an op or a composite is built of: the node's data inputs, and attributes with ONNX's defaults. */
export function argumentsOf(
  signature: Signature<Attrs, Names>,
  node: NodeReader,
): { readonly inputs: readonly AnyTensor[]; readonly attrs: Attrs } {
  const forms = Object.entries(signature.attrs ?? {})
  const inputs = dataOf(signature.inputs, forms, node)
  const given: Record<string, Attr> = {}
  // Inputs that are numbers, by their places.
  const numbers = forms.flatMap(([, form]) => form.input ?? [])
  const seen: OnnxNode = {
    opset: node.opset,
    inputs,
    outputs: node.outputs,
    attrs: given,
    number: (name, input) => {
      if (input !== undefined) numbers.push(input)
      return numberOf(name, input, node)
    },
  }
  for (const [name, form] of forms) {
    const value = read(form.name ?? name, form, node, seen)
    const left = form.emptyIsDefault && Array.isArray(value) && !value.length
    if (value !== undefined && !left) given[name] = value
  }
  signature.check?.(seen)
  const most = Math.max(inputs.length, ...numbers.map(i => i + 1))
  if (node.inputs.length > most) unsupported(`${node.inputs.length} inputs are not supported, only ${most}`)
  const attrs = Object.fromEntries(forms.map(([name, form]) => [name, given[name] ?? fallback(form, seen)]))
  for (const [name, { of, optional, name: onnx = name }] of forms) {
    const value = attrs[name]
    if (value === undefined && !optional) throw new UserError(`attribute ${onnx} is missing`)
    if (of && !of.includes(value))
      unsupported(`${onnx} ${printable(String(value))} is not supported, only ${of.join(', ')}`)
  }
  return { inputs, attrs }
}

const fallback = ({ default: value }: AttrForm, node: OnnxNode): Attr =>
  typeof value === 'function' ? value(node) : value

/** Inputs that are data; those that are attributes here come after them. */
function dataOf(names: Names, forms: readonly [string, AttrForm][], node: NodeReader): AnyTensor[] {
  const attributes = forms.flatMap(([, form]) => form.input ?? [])
  const { least, most } = countOf(names)
  const count = Math.min(node.inputs.length, ...attributes)
  if (count < least || count > most)
    throw new UserError(`has ${count} inputs; expected ${rangeText(least, most)}`)
  return Array.from({ length: count }, (_, i) => node.data(i))
}

function rangeText(least: number, most: number): string {
  if (most === Number.POSITIVE_INFINITY) return `${least} or more`
  return least === most ? String(least) : `${least} to ${most}`
}

function read(name: string, form: AttrForm, node: NodeReader, seen: OnnxNode): Attr {
  const { kind, input, saturates } = form
  if (kind === 'internal') return undefined
  if (kind === 'ints') return node.ints(name, input, saturates)
  if (kind === 'floats') return node.numbers(name, input)
  if (kind === 'names') return node.attribute(name, 'strings')?.join()
  if (kind === 'dims') {
    // An attribute, in the first opsets.
    const target = node.ints(name) ?? node.dims(input ?? 0)
    const [x] = seen.inputs
    return form.dims && x ? form.dims.read(target, x.shape, seen) : target
  }
  if (input !== undefined && !node.has(name)) {
    const value = scalarInput(name, form, node)
    return kind === 'bool' && value !== undefined ? Number(value) !== 0 : value
  }
  switch (kind) {
    case 'int':
      return node.attribute(name, 'int')
    case 'bool': {
      const value = node.attribute(name, 'int')
      return value === undefined ? undefined : value !== 0
    }
    case 'dtype': {
      const code = node.attribute(name, 'int')
      const dtype = importedType(code)
      if (code !== undefined && !dtype) unsupported(`element type ${code} is not supported`)
      return dtype
    }
    case 'string':
      return node.attribute(name, 'string')
    default:
      return node.attribute(name, 'float')
  }
}

function numberOf(name: string, input: number | undefined, node: NodeReader): number | undefined {
  if (node.has(name)) return node.attribute(name, 'number')
  const value = input === undefined ? undefined : scalarInput(name, { kind: 'scalar', input }, node)
  return value === undefined ? undefined : asNumber(value, name)
}

/** A number that ONNX holds as an input: exact where it is data, else one that sizes and axes can be. */
function scalarInput(
  name: string,
  { kind, input = 0, saturates }: AttrForm,
  node: NodeReader,
): Int64 | undefined {
  const value = node.input(input)
  if (!value) return undefined
  const number = constantNumber(value.tensor())
  if (number === undefined) return unsupported(`${name} (input ${input}) is not a constant number`)
  if (kind === 'scalar') return number
  return saturates ? saturated(number) : asNumber(number, name)
}

/** @throws Unsupported when the node has an attribute or input that importing would lose */
export function refuseUnread(node: NodeReader, neutral: Signature<Attrs, Names>['neutral'] = {}): void {
  for (const name of node.unread()) {
    const only = Object.hasOwn(neutral, name) ? neutral[name] : undefined
    if (only === undefined) throw new Unsupported(`attribute ${printable(name)} is not supported`)
    const kind = typeof only === 'string' ? 'string' : typeof only === 'number' ? 'int' : 'ints'
    const value = String(node.attribute(name, kind))
    if (value !== String(only))
      unsupported(`attribute ${name} = ${printable(value)} is not supported, only ${only}`)
  }
  const [extra] = node.untaken()
  if (extra !== undefined) unsupported(`input ${extra} is not supported`)
}
