import { fieldsOf } from '../graph/keys.ts'
import type { RunRecord } from '../runs/record.ts'
import { BACKBONE, isTuned } from '../runs/tuned.ts'

/** What of a configuration is told apart from the model, or is of no use to read. */
const ASIDE = [
  ...['sha256', 'startedFrom', 'normalization', 'head', 'freeze'],
  ...['lora', 'loraAlpha', 'loraMatch', 'loraTrain'],
]

/** A model's configuration as a run tells it. */
export const shownConfig = (config: object): object =>
  isTuned(config)
    ? Object.fromEntries(Object.entries(config).filter(([key]) => !ASIDE.includes(key)))
    : config

const epochs = (n: number): string => `${n} ${n === 1 ? 'epoch' : 'epochs'}`

/** How what was trained before is trained further, in words; undefined for a run from the beginning. */
export function tuningInWords(record: Omit<RunRecord, 'step'>): string | undefined {
  const { config } = record.model
  if (!isTuned(config)) return undefined
  const { freeze, lora, loraTrain } = fieldsOf(config)
  const { freezeEpochs, backboneRate, layerDecay, cacheFeatures } = fieldsOf(record)
  const rest =
    lora !== undefined
      ? `head${loraTrain === undefined ? '' : `, ${loraTrain}`} and updates of rank ${lora} (lora)`
      : freeze === BACKBONE
        ? 'head only'
        : layerDecay === undefined
          ? `all but the head at ${backboneRate ?? 1} of the learning rate`
          : `learning rates fall by ${layerDecay} per layer`
  return [
    ...(freezeEpochs ? [`head alone for ${epochs(Number(freezeEpochs))}`] : []),
    rest,
    ...(freeze === undefined || freeze === BACKBONE ? [] : [`${freeze} frozen`]),
    ...(cacheFeatures ? ['features computed once'] : []),
  ].join('; ')
}
