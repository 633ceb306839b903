import { type Setting, share, whole } from '../src/settings/setting.ts'

/** The configurable settings of a model; the others follow from the data. */
export type SettingsOf<C> = { readonly [K in keyof C]?: Setting }

/** Settings of models of images; pages take them from the data. */
export const IMAGE = {
  image: whole('height and width of an image, in pixels'),
  channels: whole('color channels'),
  classes: whole('number of classes'),
} as const

/** Settings of models with encoder blocks. */
export const ENCODER = {
  dim: whole('size of the embedding', { field: { label: 'Dim', most: 4096 } }),
  depth: whole('encoder blocks', { field: { label: 'Depth', most: 48 } }),
  heads: whole('attention heads', { field: { label: 'Heads', most: 256 } }),
  mlp: whole("hidden size of a block's MLP", { field: { label: 'MLP', most: 16384 } }),
} as const

export const DROPOUT = { dropout: share('share of activations dropped while training') } as const
export const DROP_PATH = {
  dropPath: share('share of images that skip a residual branch of the last block (stochastic depth)'),
} as const
