import type { AttributeProto, FunctionProto, ModelProto, NodeProto } from '../export/onnx-proto.ts'

/** A function of a file, as it is called. */
export interface CalledFunction {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly nodes: readonly NodeProto[]
  /** Opset of its body; 0 where it names none. */
  readonly opset: number
  /** Attributes that its body refers to, for a call. */
  readonly attributesOf: (call: NodeProto) => ReadonlyMap<string, AttributeProto>
}

const keyOf = (domain = '', name = '', overload = ''): string => `${domain}\n${name}\n${overload}`

const entriesOf = (attributes: readonly AttributeProto[] = []): [string, AttributeProto][] =>
  attributes.map(a => [a.name ?? '', a])

/** The functions that a file defines; the reader has seen to it that they do not call themselves. */
export class Functions {
  readonly #all: ReadonlyMap<string, FunctionProto>

  constructor({ functions = [] }: ModelProto) {
    this.#all = new Map(functions.map(f => [keyOf(f.domain, f.name, f.overload), f]))
  }

  /** The function that a node calls; undefined for an operator. */
  get({ domain, opType, overload }: NodeProto): CalledFunction | undefined {
    const f = this.#all.get(keyOf(domain, opType, overload))
    return (
      f && {
        inputs: f.input ?? [],
        outputs: f.output ?? [],
        nodes: f.node ?? [],
        opset: f.opsetImport?.find(o => !o.domain || o.domain === 'ai.onnx')?.version ?? 0,
        attributesOf: call => new Map([...entriesOf(f.attributeProto), ...entriesOf(call.attribute)]),
      }
    )
  }
}
