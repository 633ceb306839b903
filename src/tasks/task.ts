import { UserError } from '../graph/errors.ts'
import type { Tensors } from '../graph/graph.ts'
import { postorder } from '../graph/graph.ts'
import { Input } from '../graph/leaf.ts'
import { lookup } from '../graph/present.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { trace } from '../graph/tracing.ts'
import {
  type Model,
  type ModelOf,
  type PortSpec,
  type PortSpecs,
  type PortTensors,
  portTensors,
} from '../nn/model.ts'
import { type Objective, objective } from './objective.ts'

/** What a model should return, or what weights a loss: an array that a batch has beside the model's inputs. */
export interface TargetSpec extends PortSpec {
  /** Values are integers below this number, such as labels of classes. */
  readonly below?: number
  /** A further value that is allowed, such as the label to ignore. */
  readonly ignore?: number
}
/** Targets by name. */
export type TargetSpecs = Readonly<Record<string, TargetSpec>>

/** What losses and metrics are computed from. */
export interface TaskContext<I extends PortSpecs, O extends Tensors, L extends object, T extends PortSpecs> {
  /** The model's inputs. */
  readonly input: PortTensors<I>
  /** The model's outputs. */
  readonly out: O
  /** The task's targets. */
  readonly target: PortTensors<T>
  /** The model's layers. */
  readonly self: L
}

/** Metrics by name; each a scalar of averages, as losses are. */
export type MetricSpecs<C> = Readonly<Record<string, (context: C) => Tensor>>

/** What is minimized and measured. */
export interface ObjectiveSpec<
  I extends PortSpecs,
  O extends Tensors,
  L extends object,
  T extends TargetSpecs,
  M extends MetricSpecs<TaskContext<I, O, L, T>>,
> {
  /** Arrays of a batch beside the inputs, by name; or a function of the model's outputs that returns them. @default none */
  readonly targets?: T | ((out: O) => T)
  /** What is minimized: a scalar made of averages, see `average`. */
  readonly loss: (context: TaskContext<I, O, L, T>) => Tensor
  /** Further values that are measured. @default none */
  readonly metrics?: M
}

/** What `task` is given. */
export interface TaskSpec<
  I extends PortSpecs,
  O extends Tensors,
  L extends object,
  T extends TargetSpecs,
  M extends MetricSpecs<TaskContext<I, O, L, T>>,
> extends ObjectiveSpec<I, O, L, T, M> {
  /** @default 'task' */
  readonly name?: string
  /** A scalar of parameters only, which is added to the loss once per update. */
  readonly regularizer?: (context: { readonly self: L }) => Tensor
  /** Another task to evaluate by, such as a loss without label smoothing. @default the task itself */
  readonly evaluation?: Task
}

/** Inputs, outputs and what is made of them, as tensors of one graph. @experimental */
export interface TracedObjective {
  /** The model that is measured. */
  readonly model: Model
  /** By name. */
  readonly targets: Readonly<Record<string, { readonly spec: TargetSpec; readonly leaf: AnyTensor }>>
  /** What is minimized. */
  readonly loss: Objective
  /** By name. */
  readonly metrics: Readonly<Record<string, Objective>>
}

/** A task, traced for a model. @experimental */
export interface TracedTask extends TracedObjective {
  /** Its name in messages. */
  readonly name: string
  /** A scalar of parameters, which is added to the loss once per update. */
  readonly regularizer: AnyTensor | undefined
  /** New values of buffers in a training step, by name. */
  readonly assigned: Tensors
  /** What epochs are judged by. */
  readonly evaluation: TracedObjective
}

/** What a model is trained for: targets, loss and metrics. `M` names the metrics. */
export interface Task<M extends string = string> {
  /** Its name in messages. */
  readonly name: string
  /** For type inference only. */
  readonly metrics?: readonly M[]
  /** @throws UserError when the task does not fit the model */
  readonly trace: (model: Model) => TracedTask
}

/**
 * Defines what a model is trained for.
 * @example
 * const fit = task(net, {
 *   targets: { y: { shape: [1] } },
 *   loss: ({ out, target }) => mse(out.y, target.y),
 *   metrics: { mae: ({ out, target }) => l1(out.y, target.y) },
 * })
 * @throws ShapeError at the line of a loss or metric whose shapes do not fit
 */
export function task<
  I extends PortSpecs,
  O extends Tensors,
  L extends object,
  const T extends TargetSpecs,
  const M extends MetricSpecs<TaskContext<I, O, L, T>>,
>(model: ModelOf<I, O, L>, spec: TaskSpec<I, O, L, T, M>): Task<Extract<keyof M, string>> {
  const made = tracedOnce<Extract<keyof M, string>>(spec.name ?? 'task', () => spec as Traceable)
  made.trace(model)
  return made
}

type NamedTensors<K extends string = string> = Readonly<Record<K, AnyTensor>>

/** What a task for any model computes from; `T` names the targets that are always there. */
export interface AnyContext<T extends string = string> {
  readonly input: NamedTensors
  readonly out: NamedTensors
  readonly target: NamedTensors<T> & Readonly<Partial<NamedTensors>>
}

/** The specification of a task for a model that the compiler does not know; `T` names targets, `M` metrics. */
export interface AnySpec<T extends string = string, M extends string = string> {
  readonly targets: Readonly<Record<T, TargetSpec>> & TargetSpecs
  readonly loss: (context: AnyContext<T>) => Tensor
  readonly metrics: Readonly<Record<M, (context: AnyContext<T>) => Tensor>>
  readonly evaluation?: Task
}

/** What {@link AnySpec} and {@link TaskSpec} are to the tracer. */
interface Traceable {
  readonly targets?: TargetSpecs | ((out: NamedTensors) => TargetSpecs)
  readonly loss: (context: AnyContext & { readonly self: object }) => Tensor
  readonly metrics?: Readonly<Record<string, Traceable['loss']>>
  readonly regularizer?: (context: { readonly self: object }) => Tensor
  readonly evaluation?: Task
}

/** Infers the names of targets and metrics. */
export const specification = <T extends string, M extends string>(spec: AnySpec<T, M>): AnySpec<T, M> => spec

/** A task for any model that fits. @param specOf its specification for a model, which may throw a UserError */
export const defineTask = <T extends string, M extends string>(
  name: string,
  specOf: (model: Model) => AnySpec<T, M>,
): Task<M> =>
  // It is called with the tensors of the targets that it declares.
  tracedOnce(name, model => specOf(model) as Traceable)

function tracedOnce<M extends string>(name: string, specOf: (model: Model) => Traceable): Task<M> {
  const traced = new WeakMap<Model, TracedTask>()
  return {
    name,
    trace(model) {
      const known = traced.get(model) ?? traceTask(name, model, specOf(model))
      traced.set(model, known)
      return known
    },
  }
}

/** Names in the results of steps and evaluations beside the metrics. */
const TAKEN = ['loss', 'gradNorm', 'count']

function traceTask(name: string, model: Model, spec: Traceable): TracedTask {
  const { result, assigned } = trace(() => traceObjective(name, model, spec))
  const regularizer: AnyTensor | undefined = spec.regularizer?.({ self: model.layers })
  if (regularizer) checkRegularizer(name, regularizer)
  const names = new Map<Tensor, string>([...model.parameters].map(([key, p]) => [p, key]))
  const updates = [...assigned].map(([b, value]) => [names.get(b) ?? '', value] as const)
  return {
    name,
    ...result,
    regularizer,
    assigned: { ...model.assigned, ...Object.fromEntries(updates.filter(([key]) => key)) },
    evaluation: spec.evaluation?.trace(model) ?? result,
  }
}

function traceObjective(name: string, model: Model, spec: Traceable): TracedObjective {
  const { targets = {}, loss, metrics = {} } = spec
  const out: NamedTensors = model.outputs
  const specs = typeof targets === 'function' ? targets(out) : targets
  const both = Object.keys(specs).find(key => Object.hasOwn(model.inputs, key))
  if (both !== undefined)
    throw new UserError(
      `${name}: ${both} names an input of the model and a target; give the target another name`,
    )
  const leaves = portTensors(name, specs)
  const context = { input: model.graph.inputs, out, target: leaves, self: model.layers }
  const taken = Object.keys(metrics).find(key => TAKEN.includes(key))
  if (taken !== undefined)
    throw new UserError(
      `${name}: a metric cannot be named ${taken}, which results already contain; rename it`,
    )
  return {
    model,
    targets: Object.fromEntries(
      Object.entries(leaves).map(([key, leaf]) => [key, { spec: lookup(specs, key), leaf }]),
    ),
    loss: objective(`${name}: the loss`, loss(context)),
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([key, metric]) => [
        key,
        objective(`${name}: metric ${key}`, metric(context)),
      ]),
    ),
  }
}

function checkRegularizer(name: string, t: AnyTensor): void {
  if (t.shape.length || t.dtype !== 'float32')
    throw new UserError(
      `${name}: the regularizer is ${t.dtype} ${show(t.shape)}; it must be a float32 scalar: sum it`,
    )
  const other = postorder([t]).find(node => node.op === Input)
  if (other)
    throw new UserError(
      `${name}: the regularizer reads ${other.attrs.name}; it may read parameters only: move this term into the loss`,
    )
}
