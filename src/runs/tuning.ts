import { sizeOfDims } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { defined, fieldsOf } from '../graph/keys.ts'
import { parameterAttrs } from '../graph/leaf.ts'
import { lookup } from '../graph/present.ts'
import type { ParameterGroup } from '../optim/groups.ts'
import { layerDecay } from '../optim/layer-decay.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { allBut, matchesAny, matchesName } from '../optim/patterns.ts'
import type { Task } from '../tasks/task.ts'
import { cacheable } from '../train/features/cacheable.ts'
import type { Context, Prepared, ProgramOptions, SettingValues } from './definition.ts'
import { optimizerFor } from './method.ts'
import { type RunRecord, stepsPerEpoch } from './record.ts'
import { BACKBONE, type Tuned } from './tuned.ts'

// How a run that starts from trained weights is trained: learning rates, what waits for the head, what is computed once.

/** Learning rate of what has been trained before, as a fraction of the head's. */
const BACKBONE_RATE = 0.1

/** What was decided of settings that were left open. @param newHead whether the head has random weights */
export function tuningSettings(values: SettingValues, newHead: boolean): SettingValues {
  const { freeze, lora, layerDecay, epochs } = values
  const waits = newHead && [freeze, lora, layerDecay].every(v => v === undefined) && Number(epochs) > 1
  const whole = lora !== undefined || layerDecay !== undefined || freeze === BACKBONE
  return defined({
    freezeEpochs: values.freezeEpochs ?? (freeze === BACKBONE ? undefined : waits ? 1 : 0),
    backboneRate: values.backboneRate ?? (whole ? undefined : BACKBONE_RATE),
    layerDecay,
  })
}

const isTrained = ({ train, freeze }: ProgramOptions, name: string): boolean =>
  (train === undefined || matchesAny(train, name)) && !matchesAny(freeze, name)

/** Names of the parameters that are trained. */
export const trainedNames = ({ model, program }: Pick<Tuned, 'model' | 'program'>): string[] =>
  [...model.parameters].flatMap(([name, p]) =>
    !parameterAttrs(p).buffer && isTrained(program, name) ? [name] : [],
  )

/** How many values are trained. */
export const trainedCount = (built: Pick<Tuned, 'model' | 'program'>): number =>
  trainedNames(built).reduce(
    (n, name) => n + sizeOfDims(parameterAttrs(lookup(built.model.parameters, name)).shape),
    0,
  )

function groupsOf(built: Tuned, values: SettingValues, lr: number, perEpoch: number): ParameterGroup[] {
  const { model, head } = built
  const names = trainedNames(built)
  const rest = allBut(head)
  const backbone = names.filter(name => matchesName(rest, name))
  if (!backbone.length) return []
  const { backboneRate, freezeEpochs = 0 } = values
  const layers =
    values.layerDecay === undefined ? [] : layerDecay(model, { lr, decay: Number(values.layerDecay) })
  const own = {
    ...(backboneRate === undefined || backboneRate === 1 ? {} : { lr: lr * Number(backboneRate) }),
    ...(freezeEpochs ? { from: Math.round(Number(freezeEpochs) * perEpoch) } : {}),
  }
  return [
    ...layers.filter(({ match }) => names.some(name => matchesName(match, name))),
    ...(Object.keys(own).length ? [{ match: rest, ...own }] : []),
  ]
}

/** The optimizer with its groups of parameters. @param values of all settings @param perEpoch steps of an epoch */
export function tuningOptimizer(built: Tuned, values: SettingValues, perEpoch: number): Optimizer {
  const { lr } = optimizerFor(values)
  return optimizerFor(values, groupsOf(built, values, lr, perEpoch))
}

/** The optimizer of a run that is resumed. */
export function tuningOptimizerAgain(built: Tuned, record: Omit<RunRecord, 'step'>): Optimizer {
  const { name, groups: _, ...rates } = record.optimizer
  return tuningOptimizer(built, { ...fieldsOf(record), ...rates, optimizer: name }, stepsPerEpoch(record))
}

/**
 * Checks names of parameters in settings.
 * @param newHead whether the head has random weights
 * @throws UserError when a pattern matches nothing, everything, or a new head
 */
export function checkNames(
  built: Tuned,
  { freeze, loraTrain }: SettingValues,
  newHead: boolean,
  { label }: Context,
): void {
  const { model, head } = built
  const names = [...model.parameters].flatMap(([name, p]) => (parameterAttrs(p).buffer ? [] : [name]))
  const like = `the names of ${model.name} are like ${names.slice(0, 3).join(', ')}`
  const matching = (pattern: unknown) => names.filter(name => matchesName(String(pattern), name))
  if (loraTrain !== undefined && !matching(loraTrain).length)
    throw new UserError(`${label('loraTrain')}: no parameter matches ${loraTrain}; ${like}`)
  if (freeze === undefined || freeze === BACKBONE) return
  if (!matching(freeze).length)
    throw new UserError(`${label('freeze')}: no parameter matches ${freeze}; ${like}; or give ${BACKBONE}`)
  if (!trainedNames(built).length)
    throw new UserError(
      `${label('freeze')}: ${freeze} matches all parameters, so nothing is trained; ${like}`,
    )
  const frozenHead = newHead && head.find(name => matchesName(String(freeze), name))
  if (frozenHead)
    throw new UserError(
      `${label('freeze')}: ${freeze} matches ${frozenHead}, which is new for the data's classes and has to be trained; give ${BACKBONE} for all but the head`,
    )
}

/** Whether features are cached. @throws UserError where that is asked for and not possible */
export function cachesFeatures(
  { model, program }: Tuned,
  task: Task,
  data: Prepared['data'],
  values: SettingValues,
  augmented: boolean,
  { label }: Context,
): boolean {
  const { cacheFeatures, freeze } = values
  if (cacheFeatures === false || (cacheFeatures === undefined && (freeze === undefined || augmented)))
    return false
  if (cacheFeatures && freeze === undefined && values.lora === undefined)
    throw new UserError(
      `${label('cacheFeatures')} needs ${label('freeze')}, such as ${BACKBONE}: nothing is frozen`,
    )
  const why = augmented
    ? 'augmentation makes new images in every epoch'
    : cacheable(model, task, { ...program, data })
  if (why !== undefined && cacheFeatures)
    throw new UserError(`${label('cacheFeatures')} is not possible: ${why}`)
  return why === undefined
}
