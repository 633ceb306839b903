/** How a page asks for a setting. */
export interface SettingField {
  /** Of the field. */
  readonly label: string
  /** Such as `px`. */
  readonly unit?: string
  /** More than this is not for a page. */
  readonly most: number
}

/** A setting that takes a whole number of at least 1, several of them, or a number of at least 0 and below 1. */
export interface NumberSetting<K extends 'size' | 'sizes' | 'share' = 'size' | 'sizes' | 'share'> {
  /** What it takes. */
  readonly kind: K
  /** What it is, for help. */
  readonly about: string
  /** Pages leave settings without a field as the preset has them. */
  readonly field?: SettingField
}

/** A setting that takes one of some names. */
export interface ChoiceSetting<C extends string = string> {
  /** What it takes. */
  readonly kind: 'choice'
  /** What it is, for help. */
  readonly about: string
  /** The names. */
  readonly choices: readonly C[]
  /** Pages leave it as the preset has it. */
  readonly field?: undefined
}

/** A setting of a model's configuration, for programs that offer it. */
export type Setting = NumberSetting | ChoiceSetting

/** The configurable settings of a model; the others follow from the data. */
export type SettingsOf<C> = { readonly [K in keyof C]?: Setting }

const numeric =
  <K extends 'size' | 'sizes' | 'share'>(kind: K) =>
  (about: string, field?: SettingField): NumberSetting<K> => ({ kind, about, ...(field ? { field } : {}) })

export const size = numeric('size')
export const sizes = numeric('sizes')
/** A number of at least 0 and below 1. */
export const share = numeric('share')
export const choice = <const C extends string>(about: string, choices: readonly C[]): ChoiceSetting<C> => ({
  kind: 'choice',
  about,
  choices,
})

/** Settings of models of images; pages take them from the data. */
export const IMAGE = {
  image: size('height and width of an image, in pixels'),
  channels: size('color channels'),
  classes: size('number of classes'),
} as const

/** Settings of models with encoder blocks. */
export const ENCODER = {
  dim: size('size of the embedding', { label: 'Dim', most: 4096 }),
  depth: size('encoder blocks', { label: 'Depth', most: 48 }),
  heads: size('attention heads', { label: 'Heads', most: 256 }),
  mlp: size("hidden size of a block's MLP", { label: 'MLP', most: 16384 }),
} as const

export const DROPOUT = { dropout: share('share of activations dropped while training') } as const
export const DROP_PATH = {
  dropPath: share('share of images that skip a residual branch of the last block (stochastic depth)'),
} as const
