import { checkValues } from '../data/arrays.ts'
import { type Augmentation, mixes } from '../data/augment.ts'
import { featuresOf, inMemory } from '../data/batches.ts'
import type { Dataset, ImageDataset } from '../data/dataset.ts'
import { UserError } from '../graph/errors.ts'
import { sameShape, show } from '../graph/shape.ts'
import type { Ports } from './examples.ts'

/**
 * Checks a data set against a model and task, as far as possible before the first batch: arrays, shapes, numbers of classes and
 * examples, and all values that are in memory.
 * @throws UserError naming what does not match, with index and value
 */
export function checkDataset(model: string, data: Dataset, ports: Ports): void {
  const { name } = data
  if (data.size !== undefined && !(Number.isInteger(data.size) && data.size > 0))
    throw new UserError(`${name}: has ${data.size} examples; at least one is needed`)
  const features = featuresOf(data)
  for (const [key, port] of Object.entries(ports)) {
    const feature = features?.[key]
    if (features && !feature && !isMixture(data, key))
      throw new UserError(
        `${name}: has ${Object.keys(features).join(', ')}, but ${model} reads ${key}; rename the input or the array`,
      )
    if (!feature) continue
    const shape = port.shape[0] === 'batch' ? port.shape.slice(1) : port.shape
    if (!sameShape(feature.shape, shape) && !feature.shape.some(d => typeof d === 'string'))
      throw new UserError(
        `${name}: ${key} holds examples of ${show(feature.shape)}, but ${model} takes ${show(shape)}`,
      )
    if (feature.dtype !== port.dtype)
      throw new UserError(`${name}: ${key} is ${feature.dtype}, but ${model} takes ${port.dtype}`)
  }
  const classes = Object.entries(ports).find(([, { below }]) => below !== undefined)
  if (classes && data.classes && data.classes.length !== classes[1].below)
    throw new UserError(
      `${name}: has ${data.classes.length} classes, but ${model} has ${classes[1].below}; build the model with the same number`,
    )
  if ('arrays' in data)
    for (const [key, port] of Object.entries(ports)) {
      const array = data.arrays[key]
      if (!array)
        throw new UserError(`${name}: has ${Object.keys(data.arrays).join(', ')}, but ${model} reads ${key}`)
      checkValues(`${name}: ${key}`, array, port)
    }
  if ('images' in data) checkImages(data)
}

/**
 * Mixed images need a task that learns from both of their labels.
 * @throws UserError when only one of augmentation and task mixes
 */
export function checkMixing(
  task: string,
  data: Dataset,
  ports: Ports,
  augment: Augmentation | undefined,
): void {
  const mixed = augment !== undefined && mixes(augment)
  const learned = Object.keys(ports).some(key => isMixture(data, key))
  if (mixed && !learned)
    throw new UserError(
      `augment: mixup and cutmix also mix the labels, which ${task} does not support; use classification({ targets: 'mixed' })`,
    )
  if (learned && !mixed) throw new UserError(`${task}: needs mixed labels; set mixup or cutmix in augment`)
}

/** The second label and share of mixed images come with augmentation. */
const isMixture = (data: Dataset, key: string): boolean =>
  inMemory(data) && 'images' in data && /^mixed(Label|Share)$/.test(key)

function checkImages({ name, size, shape, images, labels, classes }: ImageDataset): void {
  const bytes = size * shape.reduce((a, b) => a * b, 1)
  if (images.length !== bytes)
    throw new UserError(
      `${name}: ${size} images of ${shape.join('×')} take ${bytes} bytes, but there are ${images.length}`,
    )
  if (labels.length !== size) throw new UserError(`${name}: has ${size} images but ${labels.length} labels`)
  const wrong = labels.findIndex(label => label >= classes.length)
  if (wrong >= 0)
    throw new UserError(
      `${name}: the label of image ${wrong} is ${labels[wrong]}; it must be 0 … ${classes.length - 1}`,
    )
}
