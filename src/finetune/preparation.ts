import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { Normalization } from '../graph/normalization.ts'

/** How a model was given its pictures, as its files say. */
export interface Preparation {
  /** Of pixels in [0, 1]. */
  readonly normalization?: Normalization
  /** Height and width. */
  readonly size?: readonly [height: number, width: number]
  /** Whether blue comes first. */
  readonly bgr?: boolean
  /** Names of the classes, by label. */
  readonly classes?: readonly string[]
  /** The files that say so. */
  readonly from: readonly string[]
}

/** Names of the files beside a model that say how pictures are prepared: those of transformers, and of timm. */
export const PREPARATION_FILES = ['preprocessor_config.json', 'config.json'] as const

/** Mean and deviation of ImageNet's pixels. */
export const IMAGENET: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

const isNumbers = (v: unknown): v is readonly number[] =>
  Array.isArray(v) && v.length > 0 && v.every(n => typeof n === 'number' && Number.isFinite(n))

/** Rounds away what a division by 255 leaves. */
const tidy = (v: number): number => Number(v.toPrecision(7))

/** `preprocessor_config.json` of transformers: pixels of 0 to 255 are rescaled, then normalized. */
function ofTransformers(config: Readonly<Record<string, unknown>>): Omit<Preparation, 'from'> {
  const { image_mean: mean, image_std: std, do_normalize = true, do_rescale = true } = config
  const { rescale_factor: factor = 1 / 255, do_flip_channel_order: bgr } = config
  const scale = do_rescale ? 255 * Number(factor) : 255
  const normalizes = do_normalize && isNumbers(mean) && isNumbers(std)
  const values = normalizes ? { mean, std } : { mean: [0, 0, 0], std: [1, 1, 1] }
  const {
    height,
    width,
    shortest_edge: edge,
  } = fieldsOf(config.do_center_crop && config.crop_size ? config.crop_size : config.size)
  const side = typeof config.size === 'number' ? config.size : edge
  const size = [height ?? side, width ?? side].map(Number)
  return {
    ...(normalizes || !do_rescale || do_normalize === false
      ? {
          normalization: {
            mean: values.mean.map(m => tidy(m / scale)),
            std: values.std.map(s => tidy(s / scale)),
          },
        }
      : {}),
    ...(size.every(s => s > 0) ? { size: [Number(size[0]), Number(size[1])] as const } : {}),
    ...(bgr === true ? { bgr } : {}),
  }
}

/** `config.json` of timm, whose `pretrained_cfg` (or `data_config`) has mean, std and input size; of transformers, its labels. */
function ofConfig(config: Readonly<Record<string, unknown>>): Omit<Preparation, 'from'> {
  const own = fieldsOf(config.pretrained_cfg ?? config.data_config ?? config)
  const { mean, std, input_size: size } = own
  const names = config.label_names ?? own.label_names
  const labels = Object.entries(fieldsOf(config.id2label)).sort(([a], [b]) => Number(a) - Number(b))
  const classes = Array.isArray(names) ? names.map(String) : labels.map(([, name]) => String(name))
  return {
    ...(isNumbers(mean) && isNumbers(std) ? { normalization: { mean, std } } : {}),
    ...(isNumbers(size) && size.length === 3 ? { size: [Number(size[1]), Number(size[2])] as const } : {}),
    ...(classes.length ? { classes } : {}),
  }
}

/**
 * What files beside a model say of its pictures.
 * @param files texts by name; those of other names are left out @throws UserError for one that is not JSON
 */
export function preparationOf(files: Readonly<Record<string, string>>): Preparation {
  const found = PREPARATION_FILES.flatMap(name => {
    const text = files[name]
    if (text === undefined) return []
    const said = name === 'config.json' ? ofConfig(parsed(name, text)) : ofTransformers(parsed(name, text))
    return Object.keys(said).length ? [{ name, said }] : []
  })
  return {
    ...Object.assign({}, ...found.map(f => f.said).reverse()),
    from: found.map(f => f.name),
  }
}

function parsed(name: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(text))
  } catch {
    throw new UserError(`${name} is not JSON: the file is damaged`)
  }
}
