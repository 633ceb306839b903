import type { Options } from 'yargs'
import { MODELS, type ModelName } from '../../models/index.ts'
import type { ChoiceSetting, Setting } from '../../models/settings.ts'
import { kebab } from './text.ts'

type Declared<M = (typeof MODELS)[ModelName]> = M extends { readonly settings: infer S } ? S : never
type Name<S = Declared> = S extends S ? keyof S : never
type Of<K, S = Declared> = S extends S ? (K extends keyof S ? S[K] : never) : never
type Flag<S> =
  S extends ChoiceSetting<infer C>
    ? { readonly choices: readonly C[] }
    : S extends { readonly kind: 'sizes' }
      ? { readonly type: 'number'; readonly array: true }
      : { readonly type: 'number' }

function flag(name: string, setting: Setting, models: readonly string[]): Options {
  const describe = `${models.join(', ')}: ${setting.about}`
  const alias = kebab(name) === name ? {} : { alias: kebab(name) }
  const shared = { describe, group: 'Model:', ...alias }
  if (setting.kind === 'choice') return { ...shared, choices: setting.choices }
  return { ...shared, type: 'number', ...(setting.kind === 'sizes' ? { array: true } : {}) }
}

/** Each setting of a known model, and the models that have it. */
const SETTINGS: ReadonlyMap<string, { readonly setting: Setting; readonly models: readonly string[] }> =
  Object.entries(MODELS).reduce((all, [model, { settings }]) => {
    for (const [name, setting] of Object.entries<Setting>(settings))
      all.set(name, { setting, models: [...(all.get(name)?.models ?? []), model] })
    return all
  }, new Map())

/** Flags that change a preset, by the names of the settings; each belongs to the models that declare it. */
export const MODEL_FLAGS = Object.fromEntries(
  [...SETTINGS].map(([name, { setting, models }]) => [name, flag(name, setting, models)]),
) as { readonly [K in Name]: Flag<Of<K>> }

/** Whether a flag is a setting of a model that takes whole numbers. */
export const isSize = (name: string): boolean => SETTINGS.get(name)?.setting.kind.startsWith('size') === true
