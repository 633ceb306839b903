import { createHash } from 'node:crypto'
import { basename, dirname, extname, join } from 'node:path'
import { readBytes, readText } from '../data/files-node.ts'
import { type FileInfo, isWeight, readOnnx, readWeights } from '../export/read.ts'
import { readSafetensors } from '../export/safetensors.ts'
import { headOf } from '../finetune/head.ts'
import {
  forChannels,
  IMAGENET,
  PREPARATION_FILES,
  type Preparation,
  preparationOf,
} from '../finetune/preparation.ts'
import { startFrom } from '../finetune/pretrained/start.ts'
import type { PretrainedWeights } from '../finetune/pretrained/weights.ts'
import { UserError } from '../graph/errors.ts'
import type { Parameter } from '../graph/leaf.ts'
import type { Normalization } from '../graph/normalization.ts'
import { lookup } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { withParameters } from '../nn/edit.ts'
import type { Model } from '../nn/model.ts'
import type { Context } from './definition.ts'
import { isFolder } from './is-folder-node.ts'
import { RECORD, readRecord } from './record.ts'
import { RUN_FILES } from './saved-node.ts'

/** Weights to start from, and what is known of the model that has them. */
export interface StartWeights {
  readonly path: string
  readonly sha256: string
  readonly tensors: PretrainedWeights
  /** Of onnxgrad's own. */
  readonly model?: { readonly name: string; readonly config: object } | undefined
  readonly classes?: readonly string[] | undefined
  readonly normalization?: Normalization | undefined
  /** The files beside it that say how pictures are normalized. */
  readonly from?: readonly string[]
}

/** SHA-256 of files, one after the other. */
export const sha256Of = (...files: readonly Uint8Array[]): string =>
  files.reduce((hash, bytes) => hash.update(bytes), createHash('sha256')).digest('hex')

/** What files beside a model say of how its pictures were prepared. @throws UserError for one that is not JSON */
export async function preparationBeside(path: string): Promise<Preparation> {
  const texts = await Promise.all(
    PREPARATION_FILES.map(async name => [name, await readText(join(dirname(path), name))] as const),
  )
  return preparationOf(
    Object.fromEntries(texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))),
  )
}

function tensorsOf(info: FileInfo): PretrainedWeights {
  const weights = new Set(
    (info.proto.graph?.initializer ?? []).filter(t => isWeight(info.proto, t)).map(t => t.name),
  )
  return Object.fromEntries(
    [...readWeights(info)].flatMap(([name, { dims, data }]) =>
      weights.has(name) && data instanceof Float32Array ? [[name, { shape: dims, data }]] : [],
    ),
  )
}

/** Reads weights to start from: a `.safetensors` file, an `.onnx` file of onnxgrad, or a run folder. @throws UserError */
export async function readStart(given: string): Promise<StartWeights> {
  const path = (await isFolder(given)) ? join(given, RUN_FILES.model) : given
  const bytes = await readBytes(path)
  const about = { path, sha256: sha256Of(bytes) }
  if (extname(path) === '.onnx') {
    const info = readOnnx(bytes, path)
    const { model, classes, normalization } = info
    if (!model)
      throw new UserError(
        `${path} was not written by onnxgrad, so that its weights belong to no model here: train the file itself: onnxgrad train ${basename(path)}`,
      )
    return { ...about, tensors: tensorsOf(info), model, classes, normalization }
  }
  if (extname(path) !== '.safetensors')
    throw new UserError(
      `${path}: weights are a .safetensors file, an .onnx file of onnxgrad, or a run folder`,
    )
  const { tensors, metadata } = readSafetensors(bytes, path)
  if (metadata[RECORD] !== undefined) {
    const { model, classes, normalization } = readRecord(metadata, path)
    if (Object.hasOwn(model.config, 'lora'))
      throw new UserError(
        `${path} holds updates beside its weights (lora): give the run folder, whose model.onnx has both in one`,
      )
    return { ...about, tensors, model, classes, normalization }
  }
  const { normalization, classes, from } = await preparationBeside(path)
  return { ...about, tensors, classes, normalization, from }
}

const few = (names: readonly string[]): string =>
  printable(names.slice(0, 3).join(', ') + (names.length > 3 ? `, … (${names.length})` : ''), 400)

/** Weights without a head for other classes. */
const withoutOtherHead = (
  tensors: PretrainedWeights,
  { parameters }: Model,
  head: readonly string[],
): PretrainedWeights =>
  Object.fromEntries(
    Object.entries(tensors).filter(
      ([name, { shape }]) => !head.includes(name) || shape.join() === lookup(parameters, name).shape.join(),
    ),
  )

/** A model that starts from weights. */
export interface Started {
  readonly model: Model
  /** Whether the head has random weights: it was missing, or is for other classes. */
  readonly newHead: boolean
}

/**
 * A classifier that starts from weights. Its head is new unless the weights are known to be for the same classes.
 * @param classes the data's @throws UserError when the weights are not the model's
 */
export function startedFrom(
  model: Model,
  { path, tensors, classes: had }: StartWeights,
  classes: readonly string[],
  { notice }: Pick<Context, 'notice'>,
): Started {
  const name = basename(path)
  const head = headOf(model).parameters
  const start = startFrom(model, withoutOtherHead(tensors, model, head))
  const fits = head.every(key => start.loaded.includes(key))
  const same = had !== undefined && had.join('\n') === classes.join('\n')
  const newHead = !fits || !same
  const missing = start.missing.filter(key => !head.includes(key))
  const unexpected = start.unexpected
  const adapted = start.adapted.filter(({ name: key }) => !head.includes(key))
  if (adapted.length) notice(`${name}: adapted ${few(adapted.map(a => `${a.name} (${a.how})`))}`)
  if (missing.length) notice(`${name}: has no ${few(missing)}: initialized at random`)
  if (unexpected.length) notice(`${name}: not used: ${few(unexpected)}`)
  notice(
    newHead
      ? `head: initialized at random for the data's ${classes.length} classes${fits ? `: ${name} does not say that it has the same` : ''}`
      : `head kept: ${name} has the data's classes`,
  )
  const own = new Map<string, Parameter>(head.map(key => [key, lookup(model.parameters, key)]))
  return { model: newHead ? withParameters(start.model, own) : start.model, newHead }
}

/** How pixels are normalized for weights, where that is known. @param channels of the data's images */
export function normalizationFor(
  { path, normalization: said, from = [] }: StartWeights,
  channels: number,
  { notice }: Pick<Context, 'notice'>,
): Normalization | undefined {
  const normalization = forChannels(said, channels)
  if (normalization?.mean.length === channels) {
    if (from.length) notice(`pixels are normalized as ${from.join(' and ')} beside ${basename(path)} says`)
    return normalization
  }
  if (normalization || channels !== 3) return undefined
  notice(
    `${basename(path)} does not say how its pictures were normalized: mean and deviation of ImageNet are assumed`,
  )
  return IMAGENET
}
