import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { Normalization } from '../graph/normalization.ts'
import { printable } from '../graph/printable.ts'

/** How a model was given its pictures, as its files say. */
export interface Preparation {
  /** Of pixels in [0, 1]: per channel, or one number for all. */
  readonly normalization?: Normalization
  /** Height and width. */
  readonly size?: readonly [height: number, width: number]
  /** Whether blue comes first. */
  readonly bgr?: boolean
  /** Names of the classes, by label. */
  readonly classes?: readonly string[]
  /** The file that says how pixels are normalized, if any. */
  readonly from: readonly string[]
}

/** Names of the files beside a model that say how pictures are prepared: those of transformers, and of timm. */
export const PREPARATION_FILES = ['preprocessor_config.json', 'config.json'] as const

/** Mean and deviation of ImageNet's pixels. */
export const IMAGENET: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/** What one file says. */
type Said = Omit<Preparation, 'from'>
type Fields = Readonly<Record<string, unknown>>

/** Fields that are given: transformers writes null for others. */
const given = (config: unknown): Fields =>
  Object.fromEntries(Object.entries(fieldsOf(config)).filter(([, value]) => value !== null))

/** Numbers of each channel, or one for all. @throws UserError for what is not a number @param above what they must be above */
function perChannel(file: string, key: string, value: unknown, above = Number.NEGATIVE_INFINITY) {
  if (value === undefined) return undefined
  const values: readonly unknown[] = [value].flat()
  const numbers = values.filter(v => typeof v === 'number' && Number.isFinite(v) && v > above).map(Number)
  if (numbers.length && numbers.length === values.length) return numbers
  throw new UserError(
    `${file}: ${key} is ${printable(JSON.stringify(value))}; it must be a number per channel${above === 0 ? ', above 0' : ''}`,
  )
}

/** Rounds away what a division by 255 leaves. */
const tidy = (v: number): number => Number(v.toPrecision(7))

/** The size of pictures in one of the forms of transformers: a side, two sides, or an object with either. */
function sizeOf(value: unknown): Preparation['size'] {
  const { height, width, shortest_edge: edge } = fieldsOf(value)
  const side = typeof value === 'number' ? value : edge
  const [rows, columns] = Array.isArray(value) ? value : [height ?? side, width ?? side]
  const size = [Number(rows), Number(columns)] as const
  return size.every(s => Number.isInteger(s) && s > 0) ? size : undefined
}

/**
 * `preprocessor_config.json` of transformers: pixels of 0 to 255 are rescaled, and normalized where a mean and a deviation are given
 * (EfficientNet's divide by the deviation twice).
 */
function ofTransformers(file: string, config: Fields): Said {
  const {
    do_normalize: normalizes = true,
    do_rescale: rescales = true,
    rescale_offset: offset = false,
  } = config
  const mean = normalizes ? perChannel(file, 'image_mean', config.image_mean) : undefined
  const std = normalizes ? perChannel(file, 'image_std', config.image_std, 0) : undefined
  const [factor = 1 / 255] = perChannel(file, 'rescale_factor', config.rescale_factor, 0) ?? []
  const scale = rescales ? 255 * factor : 255
  const shift = rescales && offset ? 1 : 0
  const twice = config.include_top === true && /EfficientNet/.test(String(config.image_processor_type))
  const size = sizeOf(config.do_center_crop && config.crop_size ? config.crop_size : config.size)
  return {
    normalization: {
      mean: (mean ?? [0]).map(m => tidy((m + shift) / scale)),
      std: (std ?? [1]).map(s => tidy((twice ? s * s : s) / scale)),
    },
    ...(size ? { size } : {}),
    ...(config.do_flip_channel_order === true ? { bgr: true } : {}),
  }
}

/** `config.json` of timm, whose `pretrained_cfg` (or `data_config`) has mean, std and input size; of transformers, its labels. */
function ofConfig(file: string, config: Fields): Said {
  const own = given(config.pretrained_cfg ?? config.data_config ?? config)
  const mean = perChannel(file, 'mean', own.mean)
  const std = perChannel(file, 'std', own.std, 0)
  const sides = Array.isArray(own.input_size) ? sizeOf(own.input_size.slice(-2)) : undefined
  const names = config.label_names ?? own.label_names
  const labels = Object.entries(fieldsOf(config.id2label)).sort(([a], [b]) => Number(a) - Number(b))
  const classes = Array.isArray(names) ? names.map(String) : labels.map(([, name]) => String(name))
  return {
    ...(mean && std ? { normalization: { mean, std } } : {}),
    ...(sides ? { size: sides } : {}),
    ...(classes.length ? { classes } : {}),
  }
}

/**
 * What files beside a model say of its pictures.
 * @param files texts by name; those of other names are left out
 * @throws UserError for one that is not JSON, or has a mean or deviation that cannot be
 */
export function preparationOf(files: Readonly<Record<string, string>>): Preparation {
  const found = PREPARATION_FILES.flatMap(name => {
    const text = files[name]
    if (text === undefined) return []
    const config = given(parsed(name, text))
    return [{ name, said: name === 'config.json' ? ofConfig(name, config) : ofTransformers(name, config) }]
  })
  const source = found.find(({ said }) => said.normalization)
  return {
    ...Object.assign({}, ...found.map(f => f.said).reverse()),
    from: source ? [source.name] : [],
  }
}

/** One number for all channels as one for each. */
export function forChannels(given: Normalization | undefined, channels: number): Normalization | undefined {
  const each = (values: readonly number[]) =>
    values.length === 1 ? Array.from({ length: channels }, () => values[0] ?? 0) : values
  return given && { mean: each(given.mean), std: each(given.std) }
}

function parsed(name: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(text))
  } catch {
    throw new UserError(`${name} is not JSON: the file is damaged`)
  }
}
