import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import { cifarFolder, cifarFormat } from './cifar-node.ts'
import { classFolders } from './class-folders-node.ts'
import type { SkipBad } from './class-plan.ts'
import { COLLECTIONS } from './collections.ts'
import type { ImageSource } from './dataset.ts'
import { reason } from './files-node.ts'
import { holdsIdx, loadMnist, type MnistOptions } from './mnist-node.ts'
import { preprocessingOfKind } from './preprocess.ts'
import type { FollowOptions } from './survey-node.ts'

/** Of `FollowOptions`, `shape` and `follow` are for pictures in folders; other data have a shape of their own. */
export interface ImagesOptions extends MnistOptions, FollowOptions, SkipBad {
  /** Names of a model's existing classes, by label. */
  readonly classes?: readonly string[]
}

/**
 * Labeled images from whatever is given: a data set with a name (`mnist`, `fashion-mnist`, `digits`), as `mnist` says; else a
 * folder with MNIST's four IDX files, with the binary version of CIFAR-10 or CIFAR-100, or with a folder of pictures for each class
 * (`classFolders`). Without `data` it is the folder `ONNXGRAD_DATA`, else MNIST.
 * @throws UserError when it cannot be read, or its classes differ from the model's
 */
export async function loadImages(options: ImagesOptions): Promise<ImageSource> {
  const { env = process.env, classes } = options
  const data = options.data ?? (env.ONNXGRAD_DATA || 'mnist')
  const loaded = await (isKey(COLLECTIONS, data) ? loadMnist : fromFolder)({ ...options, data })
  const source = { ...loaded, location: loaded.location ?? resolve(data) }
  const own = source.train.classes
  if (classes && classes.join('\n') !== own.join('\n'))
    throw new UserError(
      `${source.origin}: their classes are ${some(own)}, but the model has ${some(classes)}: give the data it was trained on with --data`,
    )
  const { preprocessing: asked } = options
  if (!asked || asked.kind === source.preprocessing?.kind) return source
  return { ...source, preprocessing: preprocessingOfKind(asked.kind) }
}

async function fromFolder(options: ImagesOptions & { readonly data: string }): Promise<ImageSource> {
  const { data: folder, env = process.env } = options
  const about = `${folder === env.ONNXGRAD_DATA ? 'ONNXGRAD_DATA' : 'data folder'} ${folder}`
  const entries = await readdir(folder, { withFileTypes: true }).catch(error => {
    throw new UserError(
      `${about}: ${reason(error)}; give a folder or one of ${Object.keys(COLLECTIONS).join(', ')}`,
    )
  })
  const names = entries.map(e => e.name)
  if (holdsIdx(names)) return loadMnist(options)
  const cifar = cifarFormat(names)
  if (cifar) return cifarFolder(folder, names, cifar)
  if (entries.some(e => !e.name.startsWith('.') && !e.isFile())) return classFolders(folder, options)
  throw new UserError(
    `${about}: ${names.length ? `has ${some(names.sort())}` : 'is empty'}, but not MNIST's four IDX files (train-images-idx3-ubyte …), CIFAR's binary files (data_batch_1.bin … or train.bin), or a folder of pictures for each class`,
  )
}

const some = (names: readonly string[]): string =>
  names.slice(0, 5).join(', ') + (names.length > 5 ? `, … (${names.length})` : '')
