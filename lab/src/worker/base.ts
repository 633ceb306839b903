import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { ImageSource } from '../../../src/data/dataset.ts'
import type { ImageShape } from '../../../src/data/preprocess.ts'
import { readOnnx } from '../../../src/export/read.ts'
import { type FileClassifier, imageClassifier } from '../../../src/finetune/classifier.ts'
import { headOf, replaceHead, withLogits } from '../../../src/finetune/head.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { shownName } from '../../../src/graph/printable.ts'
import { type Model, parameterCount } from '../../../src/nn/model.ts'
import type { ParameterGroup } from '../../../src/optim/groups.ts'
import { allBut } from '../../../src/optim/patterns.ts'
import { type RecordedFile, stepsPerEpoch } from '../../../src/runs/record.ts'
import type { BaseAbout } from '../protocol.ts'
import { imageOf } from './reader.ts'
import type { RunSettings } from './record.ts'

/** A file that is fine-tuned. */
export class Base {
  readonly name: string
  readonly sha256: string
  readonly #classifier: FileClassifier

  /** @throws UserError when the file is not a classifier of pictures */
  constructor(name: string, bytes: Uint8Array) {
    this.name = name
    this.sha256 = bytesToHex(sha256(bytes))
    this.#classifier = imageClassifier(readOnnx(bytes, name), name)
  }

  get input(): ImageShape {
    return imageOf(this.#classifier.model, this.name)
  }

  about(): BaseAbout {
    const { model, classes, classNames, notes } = this.#classifier
    return {
      name: shownName(this.name),
      sha256: this.sha256,
      input: this.input,
      parameters: parameterCount(model),
      classes,
      ...(classNames ? { classNames } : {}),
      notes,
    }
  }

  /** The model for these classes: with its own head where they are the file's. */
  modelFor(classes: readonly string[]): Model {
    const { model, classNames } = this.#classifier
    const same = classNames?.length === classes.length && classNames.every((name, i) => name === classes[i])
    return same ? withLogits(model) : replaceHead(model, classes.length)
  }
}

/** The file that was read last: checkpoints do not hold it. */
export class Bases {
  #last: Base | undefined

  /** @throws UserError when it is not a classifier of pictures */
  read(name: string, bytes: Uint8Array): BaseAbout {
    this.#last = new Base(name, bytes)
    return this.#last.about()
  }

  /** @param name of the file, for messages @throws UserError when another file was read, or none */
  need({ name, sha256 }: Pick<RecordedFile, 'name' | 'sha256'>): Base {
    if (this.#last?.sha256 === sha256) return this.#last
    throw new UserError(
      `this run fine-tunes ${shownName(name)}: choose that file in Train, under Model, and open the checkpoint again`,
    )
  }
}

/** The data with the normalization of the model. @throws UserError when its pictures have another size */
export function dataOf(base: Base, model: Model, data: ImageSource): ImageSource {
  const { shape } = data.train
  if (shape.join() !== base.input.join())
    throw new UserError(
      `${base.name} takes pictures of ${base.input.join(' × ')} (channels × height × width), and these have ${shape.join(' × ')}`,
    )
  const { image: normalization = data.normalization } = model.normalization
  return { ...data, normalization }
}

/** What is trained of a model, and when. */
export interface Parts {
  readonly freeze?: RegExp
  readonly groups?: readonly ParameterGroup[]
}

/** How settings of a run train the parts of its model: a file's layers before the head learn slower than the new head. */
export function partsOf(model: Model, settings: Pick<RunSettings, 'file' | 'optimizer'> & Epochs): Parts {
  const { file, optimizer } = settings
  if (!file || file.part === 'all') return {}
  const { parameters } = headOf(model)
  if (parameters.length === model.parameters.size) return {}
  const body = allBut(parameters)
  if (file.part === 'head') return { freeze: body }
  return { groups: [{ match: body, lr: Number(optimizer.lr) / 10, from: stepsPerEpoch(settings) }] }
}

type Epochs = Parameters<typeof stepsPerEpoch>[0]
