import { hasBatchNorm, setBatchNorm } from '../finetune/batch-norm.ts'
import { headOf, withHeadDropout } from '../finetune/head.ts'
import { LORA, lora } from '../finetune/lora.ts'
import { hasLora, mergeLora } from '../finetune/merge.ts'
import { fieldsOf } from '../graph/keys.ts'
import { edited } from '../nn/edit.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Built, ProgramOptions, SettingValues } from './definition.ts'
import { GRAPH_SETTINGS } from './finetune-settings.ts'

// The model of a run that starts from trained weights, made of the settings in its configuration.

/** What a configuration says of the weights that a run starts from: the SHA-256 of the file whose graph it has, or of its weights. */
const ORIGINS = { file: 'sha256', weights: 'startedFrom' } as const

/** What is frozen with everything but the head. */
export const BACKBONE = 'backbone'

/** Whether a configuration is that of a run that starts from trained weights. */
export const isTuned = (config: object): boolean =>
  Object.values(ORIGINS).some(key => Object.hasOwn(config, key))

/** The configuration of the model alone; of a graph from a file there is none. */
export function plainConfig(config: object): object {
  if (Object.hasOwn(config, ORIGINS.file)) return {}
  const aside: readonly string[] = [...GRAPH_SETTINGS, ORIGINS.weights]
  return Object.fromEntries(Object.entries(config).filter(([key]) => !aside.includes(key)))
}

/** Settings that decide the graph, of those that are given, with what is decided by the model. */
export function graphSettings(model: Model, values: SettingValues): SettingValues {
  const given = Object.fromEntries(
    GRAPH_SETTINGS.flatMap(name => (values[name] === undefined ? [] : [[name, values[name]]])),
  )
  return hasBatchNorm(model) ? { batchNorm: 'evaluation', ...given } : given
}

/** What is trained beside the updates of `lora`. @param head names of its parameters */
export const trainedBeside = (head: readonly string[], { loraTrain }: SettingValues): readonly string[] =>
  loraTrain === undefined ? head : [...head, String(loraTrain)]

function programOf(head: readonly string[], settings: SettingValues): ProgramOptions {
  const { freeze, lora: rank } = settings
  if (rank !== undefined) return { train: [LORA, ...trainedBeside(head, settings)] }
  if (freeze === BACKBONE) return { train: head }
  return freeze === undefined ? {} : { freeze: String(freeze) }
}

const optional = (value: unknown): number | undefined => (value === undefined ? undefined : Number(value))

/** A classifier that is trained further. */
export interface Tuned extends Built {
  readonly program: ProgramOptions
  /** Names of the head's parameters. */
  readonly head: readonly string[]
}

/** A classifier as it is trained further. @param config of the run @throws UserError for settings that do not fit the model */
export function tuned(base: Model, config: object): Tuned {
  const own = fieldsOf(config)
  const head = headOf(base).parameters
  const { batchNorm, headDropout, loraMatch } = own
  const normed =
    batchNorm === 'training' || (batchNorm !== undefined && hasBatchNorm(base))
      ? setBatchNorm(base, batchNorm === 'training' ? 'training' : 'evaluation')
      : base
  const dropped = headDropout ? withHeadDropout(normed, Number(headDropout)) : normed
  const adapted =
    own.lora === undefined
      ? dropped
      : lora(dropped, {
          rank: Number(own.lora),
          alpha: optional(own.loraAlpha),
          dropout: optional(own.loraDropout),
          match: loraMatch === undefined ? undefined : String(loraMatch),
        })
  return { model: edited(adapted, { config }), program: programOf(head, own), head }
}

/** A trained model as it answers and is exported: updates of `lora` are merged into its weights, and it is named as it was. */
export function answering(trained: TrainedModel): TrainedModel {
  const { config } = trained.model
  if (!isTuned(config)) return trained
  const { model, ...rest } = hasLora(trained.model) ? mergeLora(trained) : trained
  return { ...rest, model: edited(model, { config: plainConfig(config) }) }
}
