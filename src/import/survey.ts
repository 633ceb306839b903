import type { NodeProto } from '../export/onnx-proto.ts'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import { printable } from '../graph/printable.ts'
import type { Scope } from './frame.ts'
import { type StatedTypes, statedType } from './kept.ts'
import type { NodeOutcome } from './outcome.ts'
import type { Value } from './value.ts'

/** After so many nodes that could not be read, the rest is not: each error takes time. */
const MOST_ERRORS = 256

/** Notes what becomes of every node of a file, also of those after one that is refused. */
export class NodeSurvey {
  readonly outcomes: NodeOutcome[] = []
  /** Why the first node that was refused was. */
  refusal: UserError | undefined
  readonly #stated: StatedTypes
  #errors = 0
  /** Values that could not be computed. */
  readonly #blocked = new Set<Value | undefined>()

  constructor(stated: StatedTypes) {
    this.#stated = stated
  }

  /**
   * Reads a node. After one that is refused, what the file states of its outputs stands for them.
   * @param read returns why the node was kept as it is; undefined for one that was imported, null for one whose nodes are judged
   * themselves
   * @param ends whether an error ends the reading of the graph that the node is in
   */
  judge(
    operator: string,
    proto: NodeProto,
    scope: Scope,
    read: () => string | undefined | null,
    ends: () => boolean,
  ): void {
    if (this.#errors === MOST_ERRORS) {
      this.outcomes.push({ operator, kind: 'unreached' })
      return
    }
    const blocked = (proto.input ?? []).some(name => this.#blocked.has(scope.get(name)))
    try {
      const reason = read()
      if (reason === null) return
      this.outcomes.push(
        reason === undefined ? { operator, kind: 'imported' } : { operator, kind: 'kept', reason },
      )
    } catch (error) {
      if (!(error instanceof UserError) || ends()) throw error
      this.#errors++
      this.refusal ??= error
      this.outcomes.push(
        blocked ? { operator, kind: 'unreached' } : { operator, kind: 'refused', reason: error.message },
      )
      for (const name of proto.output ?? [])
        if (name && !scope.has(name)) scope.define(name, this.#instead(name))
    }
  }

  #instead(name: string): Value {
    const type = statedType(this.#stated.get(name))
    if (type) {
      const stand = input(name, type.dtype, type.shape)
      return { tensor: () => stand }
    }
    const value: Value = {
      tensor() {
        throw new UserError(`needs ${printable(name)}, which a node before it does not compute`)
      },
    }
    this.#blocked.add(value)
    return value
  }
}
