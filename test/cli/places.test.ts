import { expect, test } from 'vitest'
import yargs from 'yargs'
import { fieldOf, PRESETS } from '../../lab/src/train/form.ts'
import { MODELS } from '../../models/index.ts'
import { trainFlags } from '../../src/cli/train.ts'
import { VERBS } from '../../src/cli/verbs.ts'
import { COLLECTIONS } from '../../src/data/collections.ts'
import { keysOf } from '../../src/graph/keys.ts'
import { OPTIMIZERS, optimizerOf } from '../../src/optim/optimizer.ts'
import { kebab } from '../../src/runs/command.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import type { Setting } from '../../src/settings/setting.ts'

// What is added to a list must be offered wherever that list is: nobody names its entries a second time.
const help = await trainFlags(yargs(['--help-all']).wrap(null).showHidden('help-all')).getHelp()
const line = (flag: string): string =>
  help.split('\n').find(text => text.match(/--([\w-]+)/)?.[1] === kebab(flag)) ?? ''

test('the help of train offers every model, preset, setting, optimizer, device and data set', () => {
  for (const [model, { presets, settings }] of Object.entries(MODELS)) {
    expect(line('preset')).toContain(`${model} ${Object.keys(presets).join(', ')}`)
    for (const name of Object.keys(settings)) expect(line(name)).toMatch(RegExp(`\\b${model}\\b`))
  }
  for (const name of keysOf(OPTIMIZERS)) {
    expect(line('optimizer')).toContain(`"${name}"`)
    expect(line('lr')).toContain(`${name} ${optimizerOf(name).lr}`)
  }
  for (const name of Object.keys(DEVICES)) expect(line('device')).toContain(`"${name}"`)
  for (const name of Object.keys(COLLECTIONS)) expect(line('data')).toContain(name)
})

test('verbs have names of their own', () => {
  const names = VERBS.map(verb => String(verb.command).split(' ')[0])
  expect(new Set(names).size).toBe(names.length)
})

test('models that share a setting mean the same by it, and declare all that their presets have', () => {
  const seen = new Map<string, Setting>()
  for (const [model, { settings, presets }] of Object.entries(MODELS)) {
    for (const [name, setting] of Object.entries<Setting>(settings))
      expect(setting, `${model}: ${name}`).toEqual(seen.set(name, seen.get(name) ?? setting).get(name))
    // The vocabulary is that of the text.
    for (const config of Object.values<object>(presets))
      expect(Object.keys(settings)).toEqual(
        expect.arrayContaining(Object.keys(config).filter(name => name !== 'vocabulary')),
      )
  }
})

test('the lab offers the presets that models offer to pages, with a field for each setting that has one', () => {
  const offered = Object.entries(MODELS).flatMap(([model, entry]) =>
    'pages' in entry
      ? Object.entries<string>(entry.pages).map(([preset, label]) => ({
          label,
          model,
          config: (entry.presets as Readonly<Record<string, object>>)[preset],
        }))
      : [],
  )
  expect(Object.values(PRESETS)).toMatchObject(offered)
  for (const { settings } of Object.values(PRESETS))
    for (const [name, { field }] of Object.entries(settings)) if (field) expect(fieldOf(name)).toEqual(field)
})
