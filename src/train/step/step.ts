import type { Bindings } from '../../graph/bind.ts'
import { UserError } from '../../graph/errors.ts'
import type { Graph, Tensors } from '../../graph/graph.ts'
import { input } from '../../graph/leaf.ts'
import { lookup, zip } from '../../graph/present.ts'
import { withScope } from '../../graph/scope.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { add, greater, where } from '../../ops/elementwise.ts'
import { grad } from '../../ops/grad.ts'
import { concat, reshape } from '../../ops/layout.ts'
import { checkMatches } from '../../optim/groups.ts'
import { momentNames, scalarValues, type UpdateOptions, update } from '../../optim/update.ts'
import { isAffine } from '../../tasks/objective.ts'
import type { TracedTask } from '../../tasks/task.ts'
import {
  type Backward,
  type BackwardOutputs,
  backward,
  flatGradient,
  regularizerOf,
  type StateInputs,
  scaleName,
  stateInputs,
  trainedBlocks,
  valuesOf,
} from './backward.ts'
import { finish, type Program, type ProgramOptions, purposeOf, unflatten } from './program.ts'
import {
  nextName,
  type StateLayout,
  type StatePart,
  type StateVector,
  stateName,
  statePartsOf,
} from './state.ts'

/** One of the tasks that train a state. */
export interface TaskPlan extends UpdateOptions {
  /** Its name; empty where there is only one. */
  readonly name: string
  readonly task: TracedTask
  readonly layout: StateLayout
}

export interface StepOptions extends ProgramOptions {
  /** Sizes of the symbolic dims, `batch` among them. */
  readonly sizes: Bindings
}

/** A program that returns loss and metrics of a batch. */
export interface BatchProgram extends Program {
  readonly answers: BackwardOutputs
}

interface PlanParts {
  /** Parts of the blocks that the task trains, and of those that it only reads. */
  readonly trained: readonly StatePart[]
  readonly read: readonly StatePart[]
}

function partsFor({ name, layout, optimizer, ema }: TaskPlan, { target }: ProgramOptions): PlanParts {
  const own = trainedBlocks(layout.blocks, name)
  const others = layout.blocks.filter(block => !own.includes(block))
  return {
    trained: statePartsOf(own, target, name, momentNames({ optimizer, ema })),
    read: statePartsOf(others, target, name, []),
  }
}

function check(plan: TaskPlan): void {
  const { clipNorm, layout, name, task, optimizer } = plan
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new UserError(`clip norm must be above 0, not ${clipNorm}`)
  const own = trainedBlocks(layout.blocks, name)
  if (!own.length)
    throw new UserError(
      `${task.name}: no parameter is trained: ${layout.all.slots.length ? 'all of them are frozen' : `${task.model.name} has none`}`,
    )
  checkMatches(layout.all, optimizer.grouping)
}

const SCALAR = 'scalar.'

const scalarInputs = (plan: TaskPlan): Readonly<Record<string, AnyTensor>> =>
  Object.fromEntries(
    Object.keys(scalarValues(plan, 1, plan.optimizer.lr)).map(name => [
      name,
      input(SCALAR + name, 'float32', []),
    ]),
  )

/** A record with a prefix before each name. */
const prefixed = (prefix: string, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, t]) => [prefix + name, t]))

const stateTensors = ({ tensors }: StateInputs): Tensors =>
  Object.fromEntries([...tensors].map(([v, t]) => [stateName(v), t]))

/** The optimizer's part of a program: new values of parameters and moments as outputs. */
function updated(
  plan: TaskPlan,
  { trained }: PlanParts,
  { tensors }: StateInputs,
  gradientOf: (part: StatePart) => AnyTensor,
  scalars: Readonly<Record<string, AnyTensor>>,
) {
  const moments = (p: StatePart) =>
    Object.fromEntries(Object.entries(p.moments).map(([m, v]) => [m, lookup(tensors, v)]))
  const parts = trained.map(p => ({
    part: p.part,
    params: lookup(tensors, p.params),
    moments: moments(p),
    gradient: gradientOf(p),
  }))
  const { next, norm } = withScope('optimizer', () => update(parts, scalars, plan))
  const values = zip(trained, next).flatMap(([p, { params, moments }]): [StateVector, AnyTensor][] => [
    [p.params, params],
    ...Object.entries(p.moments).map(([m, v]): [StateVector, AnyTensor] => [v, lookup(moments, m)]),
  ])
  return {
    writes: values.map(([v]) => v),
    outputs: { gradNorm: norm, ...Object.fromEntries(values.map(([v, t]) => [nextName(v), t])) },
  }
}

const bufferOutputs = ({ buffers }: Backward): Tensors =>
  Object.fromEntries([...buffers].map(([v, t]) => [nextName(v), t]))

/**
 * Forward, loss, backward and optimizer as one graph. In: the model's inputs, targets, `state.<vector>` and
 * `scalar.<name>`. Out: `loss` (of the batch), sums and counts, `gradNorm`, and `next.<vector>`.
 */
export function compileStep(
  plan: TaskPlan,
  options: StepOptions & { readonly keepGradient?: boolean },
): BatchProgram {
  check(plan)
  const parts = partsFor(plan, options)
  const state = stateInputs([...parts.trained, ...parts.read])
  const scalars = scalarInputs(plan)
  const own = trainedBlocks(plan.layout.blocks, plan.name)
  const purpose = purposeOf(`${plan.task.model.name}-step`, options, true)
  const back = backward(plan.task, state, own, options.sizes, purpose)
  const gradients = withRegularizer(back)
  const flat = new Map(parts.trained.map(p => [p, flatGradient(p.part, gradients)]))
  const next = updated(plan, parts, state, p => lookup(flat, p), scalars)
  const graph: Graph = {
    inputs: { ...back.inputs, ...stateTensors(state), ...prefixed(SCALAR, scalars) },
    parameters: {},
    outputs: {
      ...back.outputs,
      ...(back.regularizer ? { regularizer: back.regularizer } : {}),
      ...next.outputs,
      ...(options.keepGradient ? { gradient: concat([...flat.values()], 0) } : {}),
      ...bufferOutputs(back),
    },
  }
  const program = finish(`${plan.task.model.name}-step`, graph, purpose, {
    parts: [...state.tensors],
    writes: [...next.writes, ...back.buffers.keys()],
    random: back.random,
  })
  return { ...program, answers: back.answers }
}

/** Gradients of the loss and the regularizer. */
function withRegularizer({ regularizer, gradients, pieces }: Backward): ReadonlyMap<string, AnyTensor> {
  if (!regularizer) return gradients
  const own = grad(regularizer, [...pieces.values()])
  return new Map(
    zip([...pieces.keys()], own).map(([name, g]) => [name, add(lookup(gradients, name), reshape(g, [-1]))]),
  )
}

const GRADIENT = 'gradient.'

/** The vector of a gradient so far, for each vector of trained parameters. */
const gradientVector = ({ params }: StatePart): StateVector => ({
  ...params,
  name: GRADIENT + params.name,
  vector: GRADIENT + params.vector,
})

export const isGradient = ({ vector }: StateVector): boolean => vector.startsWith(GRADIENT)

/**
 * The first half of a step in parts: adds the gradient of a micro-batch to `state.gradient.…`. `scalar.keep` is 0 for the
 * first micro-batch of an update and else 1; `scalar.scale.<i>` one over the count of statistic i in all micro-batches.
 * {@link compileUpdate} is the second half.
 * @throws UserError when the loss is not a weighted sum of averages: then it cannot be put together from micro-batches
 */
export function compileGradients(plan: TaskPlan, options: StepOptions): BatchProgram {
  check(plan)
  if (!isAffine(plan.task.loss))
    throw new UserError(
      `${plan.task.name}: the loss is not a weighted sum of averages, so micro-batches cannot be accumulated; use whole batches`,
    )
  const parts = partsFor(plan, options)
  const plain = [...parts.trained, ...parts.read].map(p => ({ ...p, moments: {} }))
  const state = stateInputs(plain)
  const sums = new Map(
    parts.trained.map(p => [p, input(stateName(gradientVector(p)), 'float32', [p.part.size])]),
  )
  const keep: AnyTensor = input(`${SCALAR}keep`, 'float32', [])
  // Not a product: what an earlier step left may not be finite.
  const begun = greater(keep, 0)
  const scales: AnyTensor[] = []
  const scaleOf = (i: number): AnyTensor => {
    scales[i] ??= input(scaleName(i), 'float32', [])
    return scales[i]
  }
  const own = trainedBlocks(plan.layout.blocks, plan.name)
  const purpose = purposeOf(`${plan.task.model.name}-gradients`, options, true)
  const back = backward(plan.task, state, own, options.sizes, purpose, scaleOf)
  const added = parts.trained.map((p): [StateVector, AnyTensor] => [
    gradientVector(p),
    add(where(begun, lookup(sums, p), 0), flatGradient(p.part, back.gradients)),
  ])
  const gradientInputs = Object.fromEntries([...sums].map(([p, t]) => [stateName(gradientVector(p)), t]))
  const graph: Graph = {
    inputs: { ...back.inputs, ...stateTensors(state), ...gradientInputs, [`${SCALAR}keep`]: keep },
    parameters: {},
    outputs: {
      ...back.outputs,
      ...Object.fromEntries(added.map(([v, t]) => [nextName(v), t])),
      ...bufferOutputs(back),
    },
  }
  const program = finish(`${plan.task.model.name}-gradients`, graph, purpose, {
    parts: [...state.tensors, ...[...sums].map(([p, t]) => [gradientVector(p), t] as const)],
    writes: [...added.map(([v]) => v), ...back.buffers.keys()],
    random: back.random,
  })
  return { ...program, answers: back.answers }
}

/** The second half of a step in parts: regularizer and optimizer, from `state.gradient.…`. */
export function compileUpdate(plan: TaskPlan, options: ProgramOptions): Program {
  check(plan)
  const parts = partsFor(plan, options)
  const { regularizer, model } = plan.task
  const state = stateInputs([...parts.trained, ...(regularizer ? parts.read : [])])
  const sums = new Map(
    parts.trained.map(p => [p, input(stateName(gradientVector(p)), 'float32', [p.part.size])]),
  )
  const scalars = scalarInputs(plan)
  const leaves = regularizer && unflatten(model.graph.parameters, valuesOf(state))
  const value = regularizer && leaves && regularizerOf(regularizer, model.graph, leaves)
  const gradientOf = (p: StatePart): AnyTensor => {
    const sum = lookup(sums, p)
    if (!value || !leaves) return sum
    const pieces = p.part.slots.map(s => lookup(leaves, lookup(model.graph.parameters, s.name)))
    const own = grad(value, pieces).map(g => reshape(g, [-1]))
    return add(sum, concat(own, 0))
  }
  const next = updated(plan, parts, state, gradientOf, scalars)
  const gradientInputs = Object.fromEntries([...sums].map(([p, t]) => [stateName(gradientVector(p)), t]))
  const graph: Graph = {
    inputs: { ...stateTensors(state), ...gradientInputs, ...prefixed(SCALAR, scalars) },
    parameters: {},
    outputs: { ...(value ? { regularizer: value } : {}), ...next.outputs },
  }
  return finish(`${model.name}-update`, graph, purposeOf(`${model.name}-update`, options, true), {
    parts: [...state.tensors, ...[...sums].map(([p, t]) => [gradientVector(p), t] as const)],
    writes: next.writes,
    random: false,
  })
}
