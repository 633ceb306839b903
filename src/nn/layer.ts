import { isParameter, type Parameter } from '../graph/leaf.ts'
import { currentScope, withScope } from '../graph/scope.ts'
import type { AnyTensor } from '../graph/tensor.ts'

/**
 * A layer: a function of tensors whose parts — parameters, other layers, arrays of them — are its properties.
 * Parts are named by where they stand (`blocks.0.attn.qkv.weight`), so a layer knows nothing of names.
 */
export type Layer<Parts extends object, Forward extends (...args: never[]) => unknown> = Forward &
  Readonly<Parts>

const paths = new WeakMap<object, string>()

/**
 * Makes a layer from its parts and its forward function.
 * @example
 * const mlp = layer({ fc1: linear(64, 128), fc2: linear(128, 64) }, (self, x: AnyTensor) => self.fc2(gelu(self.fc1(x))))
 */
export function layer<Parts extends object, Args extends readonly unknown[], R>(
  parts: Parts,
  forward: (self: Parts, ...args: Args) => R,
): Layer<Parts, (...args: Args) => R> {
  const call = (...args: Args): R =>
    withScope(paths.get(call) ?? currentScope(), () => forward(parts, ...args))
  return Object.assign(call, parts)
}

/** A layer from one tensor to another. */
export type UnaryLayer = (x: AnyTensor) => AnyTensor

const isTensor = (value: object): value is AnyTensor => 'node' in value && 'dtype' in value

/** Parameters of a layer by name, in the order in which its parts are declared. */
export function namedParameters(root: object): Map<string, Parameter> {
  const found = new Map<string, Parameter>()
  const visit = (value: unknown, path: string): void => {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return
    if (isTensor(value)) {
      if (isParameter(value)) found.set(path, value)
      return
    }
    paths.set(value, path)
    for (const [name, part] of Object.entries(value)) visit(part, path ? `${path}.${name}` : name)
  }
  visit(root, '')
  return found
}
