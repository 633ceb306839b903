import { batches, inMemory } from '../../data/batches.ts'
import type { ArrayDataset, DataSource, Dataset, ImageDataset } from '../../data/dataset.ts'
import { copyElements, emptyArray, type NdArray, sizeOfDims } from '../../graph/array.ts'
import { UserError } from '../../graph/errors.ts'
import { lookup, present } from '../../graph/present.ts'
import type { Runtime } from '../../runtime/session.ts'
import { examplesOf, portsOf } from '../examples.ts'
import { type ForwardOptions, type HeldModel, hold } from '../forward.ts'
import type { Split } from './split.ts'

export interface EncodeOptions extends ForwardOptions {
  /** Examples of one run. */
  readonly batch: number
}

type InMemory = ImageDataset | ArrayDataset

/** The features of examples `[from, to)`, in the data's order. */
async function encoded(
  held: HeldModel,
  { encoder }: Split,
  set: InMemory,
  { batch, most = set.size }: { readonly batch: number; readonly most?: number },
): Promise<Record<string, NdArray>> {
  const ports = portsOf({ model: encoder, targets: {} })
  const arrays: Record<string, NdArray> = Object.fromEntries(
    Object.entries(encoder.outputs).map(([name, { dtype, shape }]) => {
      const dims = [most, ...shape.slice(1).map(Number)]
      return [name, { data: emptyArray(dtype, sizeOfDims(dims)), dims }]
    }),
  )
  let done = 0
  for (const given of batches(set, { batch, shuffle: false })) {
    const { arrays: inputs, sizes } = examplesOf(set.name, ports, given, false)
    const got = await held.forward.predict(inputs, held.parameters)
    for (const [name, { data, dims }] of Object.entries(arrays))
      copyElements(data, lookup(got, name).data, done * sizeOfDims(dims.slice(1)))
    done += Number(sizes.batch)
    if (done >= most) break
  }
  return arrays
}

const CHECKED = 8

/** Some operations let the examples of a batch depend on each other: then their features are not theirs alone. */
async function checkIndependent(held: HeldModel, split: Split, set: InMemory): Promise<void> {
  const most = Math.min(CHECKED, set.size) & ~1
  if (!most) return
  const together = await encoded(held, split, set, { batch: most, most })
  const apart = await encoded(held, split, set, { batch: most / 2, most })
  for (const [name, { data }] of Object.entries(together)) {
    const other = lookup(apart, name).data
    const values = Array.from(data, Number)
    const scale = values.reduce((a, v) => Math.max(a, Math.abs(v)), 0)
    const differs = values.some((v, i) => Math.abs(v - Number(other[i])) > 1e-3 * scale)
    if (differs)
      throw new UserError(
        `${split.encoder.name}: cacheFeatures: an example's features depend on the other examples of its batch, so they cannot be cached`,
      )
  }
}

/** A set's other arrays: targets, and inputs that the tail still reads. */
function others(set: InMemory, { encoder, tail }: Split): Readonly<Record<string, NdArray>> {
  const isRead = (name: string) => !Object.hasOwn(encoder.inputs, name) || Object.hasOwn(tail.inputs, name)
  if ('arrays' in set) return Object.fromEntries(Object.entries(set.arrays).filter(([name]) => isRead(name)))
  const label = { label: { data: Int32Array.from(set.labels), dims: [set.size] } }
  if (!Object.hasOwn(tail.inputs, 'image')) return label
  const [all] = batches(set, { batch: set.size, shuffle: false })
  return { image: present(all?.image, 'images'), ...label }
}

async function cachedSet(held: HeldModel, split: Split, set: Dataset, batch: number): Promise<ArrayDataset> {
  if (!inMemory(set)) throw new Error('internal: features of a stream')
  const { name, size, classes } = set
  const shared = 'arrays' in set ? set.shared?.filter(key => !Object.hasOwn(split.encoder.inputs, key)) : []
  return {
    name,
    size,
    ...(classes ? { classes } : {}),
    arrays: { ...others(set, split), ...(await encoded(held, split, set, { batch })) },
    ...(shared?.length ? { shared } : {}),
  }
}

/**
 * Data with features in place of the inputs: each set is encoded once, and its examples keep their order, so that they are
 * shuffled alike.
 * @param params of the model, flat, in its order
 * @throws UserError when the examples of a batch affect each other
 */
export async function cachedSource(
  runtime: Runtime,
  split: Split,
  params: Float32Array,
  data: DataSource,
  { batch, ...options }: EncodeOptions,
): Promise<DataSource> {
  const held = hold(runtime, { model: split.encoder, params }, options)
  const cached = (set: Dataset) => cachedSet(held, split, set, batch)
  try {
    const { train, val, test } = data
    if (inMemory(train)) await checkIndependent(held, split, train)
    return {
      ...data,
      train: await cached(train),
      ...(val ? { val: await cached(val) } : {}),
      ...(test ? { test: await cached(test) } : {}),
    }
  } finally {
    await held.close()
  }
}
