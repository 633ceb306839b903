import { UserError } from '../graph/errors.ts'
import { keysOf } from '../graph/keys.ts'
import type { Context, SettingValues } from './definition.ts'
import { FINETUNE_SETTINGS } from './finetune-settings.ts'
import { BACKBONE } from './tuned.ts'

/** Settings that are none without another one. */
const NEEDS = [
  ['loraAlpha', 'lora'],
  ['loraDropout', 'lora'],
  ['loraMatch', 'lora'],
  ['loraTrain', 'lora'],
] as const

/** Settings that contradict each other, and why. */
const APART = [
  ['lora', 'freeze', 'everything but the updates and the head is frozen already'],
  ['lora', 'layerDecay', 'the updates have the learning rate of the head'],
  ['lora', 'backboneRate', 'the updates have the learning rate of the head'],
  ['layerDecay', 'backboneRate', 'it sets the learning rate of each layer'],
] as const

/** Of settings that only make sense where something but the head is trained. */
const FOR_BACKBONE = ['freezeEpochs', 'backboneRate', 'layerDecay'] as const

/**
 * Checks settings of a run that starts from trained weights against each other.
 * @param asked what was given @throws UserError for two that do not go together
 */
export function checkTuning(asked: SettingValues, { epochs }: SettingValues, { label }: Context): void {
  const has = (name: string) => asked[name] !== undefined
  for (const [name, other] of NEEDS)
    if (has(name) && !has(other))
      throw new UserError(`${label(name)} needs ${label(other)}, the rank of the updates`)
  for (const [name, other, why] of APART)
    if (has(name) && has(other))
      throw new UserError(`${label(other)} cannot be combined with ${label(name)}: ${why}`)
  const idle = FOR_BACKBONE.find(has)
  if (asked.freeze === BACKBONE && idle)
    throw new UserError(
      `${label(idle)} cannot be combined with ${label('freeze')} ${BACKBONE}: only the head is trained`,
    )
  if (has('freezeEpochs') && !(Number(asked.freezeEpochs) < Number(epochs)))
    throw new UserError(
      `${label('freezeEpochs')} must be below ${label('epochs')} ${epochs}, not ${asked.freezeEpochs}; to train the head alone, give ${label('freeze')} ${BACKBONE}`,
    )
}

/** @throws UserError for a setting of fine-tuning, where a model is trained from its initial weights */
export function refuseTuning(asked: SettingValues, { label }: Context): void {
  const stray = keysOf(FINETUNE_SETTINGS).find(name => asked[name] !== undefined)
  if (stray !== undefined)
    throw new UserError(
      `${label(stray)} is for fine-tuning: give ${label('weights')} FILE to start from, or train a file: onnxgrad train FILE.onnx`,
    )
}
