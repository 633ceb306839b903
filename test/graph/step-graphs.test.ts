import { expect, test } from 'vitest'
import { WORKLOADS } from '../../scripts/bench/workloads.ts'
import { isLeaf, nodesOf } from '../../src/graph/graph.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import { classification } from '../../src/tasks/classification.ts'
import { plansOf } from '../../src/train/plans.ts'
import { compileStep } from '../../src/train/step/step.ts'

// What a training step computes, by operator: a pass that stops matching, or a composite that grew, shows here.

const operatorsOf = (name: keyof typeof WORKLOADS): string => {
  const { model, batch } = WORKLOADS[name]
  const { plans } = plansOf(model(), { task: classification() })
  const { graph } = compileStep(plans[0]!, { sizes: { batch }, target: DEVICES.cpu.target })
  const counts = new Map<string, number>()
  for (const node of nodesOf(graph))
    if (!isLeaf(node)) counts.set(node.op.type, (counts.get(node.op.type) ?? 0) + 1)
  const total = [...counts.values()].reduce((a, b) => a + b, 0)
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([type, n]) => `${type} ${n}`)
  return [`${total} nodes`, ...rows].join(', ')
}

test.each(Object.keys(WORKLOADS) as (keyof typeof WORKLOADS)[])('the step of %s keeps its operators', name =>
  expect(operatorsOf(name)).toMatchSnapshot(),
)
