import { isParameter, type Parameter } from '../graph/leaf.ts'
import { currentScope, withScope } from '../graph/scope.ts'
import type { Tensor } from '../graph/tensor.ts'

/** The parts of a layer or model: parameters, other layers, arrays and records of them. */
const parts = new WeakMap<object, object>()

/** The path of each layer and parameter in the model that was made last of it. */
const paths = new WeakMap<object, string>()

const isTensor = (value: object): value is Tensor => 'node' in value && 'dtype' in value

/** Says what a layer or model consists of. */
export const declareParts = (owner: object, own: object): void => {
  parts.set(owner, own)
}

/** Runs a layer's body under the layer's path, so that what it computes is named by where the layer stands. */
export const inLayer = <T>(owner: object, body: () => T): T =>
  withScope(paths.get(owner) ?? currentScope(), body)

/**
 * Parameters by name, in the order in which parts are declared. A parameter that is reached more than once is one
 * parameter, under the first path.
 */
export function namedParameters(root: object): Map<string, Parameter> {
  const found = new Map<string, Parameter>()
  const seen = new Set<object>()
  const visit = (value: unknown, path: string): void => {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value))
      return
    seen.add(value)
    if (isTensor(value)) {
      if (isParameter(value)) found.set(path, value)
      return
    }
    paths.set(value, path)
    for (const [name, part] of Object.entries(parts.get(value) ?? value))
      visit(part, path ? `${path}.${name}` : name)
  }
  visit(root, '')
  return found
}
