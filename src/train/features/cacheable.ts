import { inMemory } from '../../data/batches.ts'
import type { DataSource, Dataset } from '../../data/dataset.ts'
import { sourceOf } from '../../data/source.ts'
import { sizeOfDims } from '../../graph/array.ts'
import { sizesOf } from '../../graph/bind.ts'
import { BYTES } from '../../graph/dtype.ts'
import { Input } from '../../graph/leaf.ts'
import type { Node } from '../../graph/node.ts'
import type { Tensor } from '../../graph/tensor.ts'
import type { Model } from '../../nn/model.ts'
import type { Task, TracedObjective, TracedTask } from '../../tasks/task.ts'
import { portsOf } from '../examples.ts'
import type { FitOptions } from '../fit-options.ts'
import { layoutFor } from '../plans.ts'
import { BUFFERS, FROZEN, ONLY } from '../step/state.ts'
import { type Changes, type Split, splitModel } from './split.ts'

/** What decides whether features can be cached. */
export type CacheableOptions = Pick<FitOptions, 'freeze' | 'train' | 'augment'> & {
  /** Data whose features would have to fit into memory. @default not looked at */
  readonly data?: FitOptions['data'] | undefined
}

/** All features of a run may take this much memory. */
const MOST_BYTES = 2 ** 31

/** An input that an objective reads other than through the model's outputs. */
function inputRead({ model, loss, metrics, targets }: TracedObjective, more: readonly Tensor[] = []) {
  const ends = new Set<Tensor>(Object.values(model.outputs))
  const own = new Set<Node>(Object.values(targets).map(({ leaf }) => leaf.node))
  const seen = new Set<Tensor>()
  const stack: Tensor[] = [loss.value, ...Object.values(metrics).map(m => m.value), ...more]
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (seen.has(t) || ends.has(t)) continue
    seen.add(t)
    if (t.node.op === Input && !own.has(t.node)) return String(t.node.attrs.name)
    stack.push(...t.node.inputs)
  }
  return undefined
}

function readsInput(traced: TracedTask): string | undefined {
  const own = Object.entries(traced.assigned).filter(([name]) => !Object.hasOwn(traced.model.assigned, name))
  const name =
    inputRead(
      traced,
      own.map(([, t]) => t),
    ) ?? inputRead(traced.evaluation)
  return name === undefined
    ? undefined
    : `${traced.name}: the loss or a metric reads ${name} itself, rather than the model's outputs`
}

const setsOf = ({ train, val, test }: DataSource): Dataset[] =>
  [train, val, test].filter(s => s !== undefined)

/** Bytes of the features of one example. */
const bytesOf = ({ encoder }: Split): number =>
  Object.values(encoder.outputs).reduce(
    (n, { dtype, shape }) => n + BYTES[dtype] * sizeOfDims(sizesOf(shape.slice(1))),
    0,
  )

function dataReason(split: Split, data: DataSource): string | undefined {
  const stream = setsOf(data).find(set => !inMemory(set))
  if (stream)
    return `${stream.name} comes in batches of its own; only data in memory can be encoded once and shuffled again`
  const examples = setsOf(data).reduce((n, { size = 0 }) => n + size, 0)
  const bytes = examples * bytesOf(split)
  if (bytes <= MOST_BYTES) return undefined
  const gib = (bytes / 2 ** 30).toFixed(1)
  return `the features of ${examples.toLocaleString('en-US')} examples would take ${gib} GiB; at most ${MOST_BYTES / 2 ** 30} GiB are cached`
}

/** How a model is split for a training, or why it cannot be. */
export function planFeatures(model: Model, task: Task, options: CacheableOptions): Split | string {
  const { freeze, train, augment, data } = options
  if (augment) return 'augmentation makes new images in every epoch; remove augment'
  const traced = task.trace(model)
  const { blocks } = layoutFor(model, { [ONLY]: { train } }, freeze)
  const slots = (name: string) => blocks.find(b => b.name === name)?.layout.slots ?? []
  if (!slots(FROZEN).length) return 'no parameter is frozen; set freeze, or train'
  const fixed = new Set([...slots(FROZEN), ...slots(BUFFERS)].map(s => s.name))
  if (fixed.size === model.parameters.size) return 'no parameter is trained'
  const changes: Changes = name =>
    Object.hasOwn(traced.assigned, name) ? 'assigned' : fixed.has(name) ? undefined : 'trained'
  const direct = readsInput(traced)
  if (direct !== undefined) return direct
  const source = data && sourceOf(data, { train: portsOf(traced), evaluate: portsOf(traced.evaluation) })
  const arrays = source ? setsOf(source).flatMap(s => ('arrays' in s ? Object.keys(s.arrays) : [])) : []
  const targets = [traced, traced.evaluation].flatMap(t => Object.keys(t.targets))
  const split = splitModel(model, changes, new Set([...arrays, ...targets]))
  if (typeof split === 'string') return `nothing can be computed in advance: ${split}`
  return readsInput(task.trace(split.tail)) ?? (source && dataReason(split, source)) ?? split
}

/**
 * Why `cacheFeatures` is not possible for a training; undefined where it is.
 * @example
 * const cacheFeatures = cacheable(net, task, { train: 'head.*', data }) === undefined
 * @throws UserError for a pattern that no parameter's name matches, or data that do not fit
 */
export function cacheable(model: Model, task: Task, options: CacheableOptions): string | undefined {
  const plan = planFeatures(model, task, options)
  return typeof plan === 'string' ? plan : undefined
}
