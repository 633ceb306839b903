import { UserError } from '../graph/errors.ts'
import { sameShape, show } from '../graph/shape.ts'
import { where } from '../ops/elementwise.ts'
import { reshape } from '../ops/layout.ts'
import type { NodeReader } from './node-reader.ts'
import { unsupported } from './unsupported.ts'
import { computed, onlyElement, type Value } from './value.ts'

/**
 * The outputs of an If. Where only the run time knows the condition, both branches are computed and it chooses between their
 * outputs, which therefore need equal shapes. @param branch reads the branch of an attribute
 */
export function branchOf(node: NodeReader, branch: (name: string) => readonly Value[]): readonly Value[] {
  const condition = node.value(0)
  const known = onlyElement(condition)
  if (typeof known === 'number') {
    const [taken, other] = known ? ['then_branch', 'else_branch'] : ['else_branch', 'then_branch']
    node.attribute(other, 'graph')
    return branch(taken)
  }
  const [yes, no] = [branch('then_branch'), branch('else_branch')]
  if (yes.length !== no.length)
    throw new UserError(`its branches have ${yes.length} and ${no.length} outputs; the file is damaged`)
  return yes.map((value, i) => {
    const [a, b] = [value.tensor(), no[i]?.tensor()]
    if (!b || a.dtype !== b.dtype || !sameShape(a.shape, b.shape))
      return unsupported(
        `its branches give ${show(a.shape)} and ${show(b?.shape ?? [])}, and the condition is known only at run time`,
      )
    const chosen = where(reshape(condition.tensor(), []), a, b)
    return computed(chosen)
  })
}
