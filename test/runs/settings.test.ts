import { readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import yargs from 'yargs'
import type * as settings from '../../src/runs/settings.ts'
import { number } from '../../src/settings/setting.ts'

/** A setting that nobody has but this test: one entry of the schema. */
const sparkle = number('How much the gradient sparkles', {
  group: 'Training',
  least: 0,
  most: 9,
  default: 2,
  common: true,
  field: { label: 'Sparkle', most: 5 },
})
vi.mock('../../src/runs/settings.ts', async original => {
  const all = await original<typeof settings>()
  return { ...all, SETTINGS: { ...all.SETTINGS, sparkle } }
})
const { settingsPage } = await import('../../scripts/settings-table.ts')
const { KNOWN, settingsIn } = await import('../../src/cli/flags.ts')
const { flagOf } = await import('../../src/runs/command.ts')
const { trainFlags } = await import('../../src/cli/train.ts')
const { knownRun } = await import('../../src/runs/known-node.ts')
const { checkAsked, valuesFor } = await import('../../src/runs/plan-node.ts')
const { isRecorded, recordOf } = await import('../../src/runs/recorded.ts')
const { dimensionsOf } = await import('../../src/runs/search/dimensions.ts')
const { schemaOf } = await import('../../src/runs/definition.ts')
const { refuseOtherSettings, settingsOf } = await import('../../src/runs/same-settings.ts')
const { fieldOf, settings: chosen, problems, choose } = await import('../../lab/src/train/form.ts')

const context = { label: flagOf, notice: () => {} }
const mlp = knownRun('mlp')

test('one entry of the schema is a flag, with its help, default and range', async () => {
  const flags = (...args: string[]) => trainFlags(yargs(args)).parseAsync()
  expect(await trainFlags(yargs([])).getHelp()).toMatch(
    /--sparkle +How much the gradient sparkles +\[default: 2\]/,
  )
  expect(settingsIn(KNOWN, { ...(await flags('--sparkle', '3.5')) })).toEqual({ sparkle: 3.5 })
  expect(valuesFor(mlp, {}).sparkle).toBe(2)
  checkAsked(mlp, { sparkle: 9 }, context)
  expect(() => checkAsked(mlp, { sparkle: 10 }, context)).toThrow(
    '--sparkle must be a number from 0 to 9, not 10',
  )
})

test('it is recorded with the run, which keeps it', () => {
  expect(isRecorded('sparkle')).toBe(true)
  const optimizer = { name: 'adam', settings: {} } as Parameters<typeof recordOf>[0]['optimizer']
  const record = recordOf({
    model: { name: 'mlp', config: {} },
    values: valuesFor(mlp, { sparkle: 4 }),
    optimizer,
    schedule: { name: 'constant', settings: {}, at: () => 1 },
    data: { train: { name: 'none', size: 1, arrays: {} } },
    examples: 1,
    fingerprints: { train: { shape: [], classes: '', content: '' } },
  })
  const had = settingsOf(record)
  expect(had.sparkle).toBe(4)
  const resume = (sparkle: number) => refuseOtherSettings(schemaOf(mlp), { sparkle }, had, 'run', context)
  resume(4)
  expect(() => resume(5)).toThrow('run: --sparkle is 4 in this run, not 5')
})

test('it is a dimension of a search, a field of the lab, and a row of the documentation', () => {
  const space = (declared: object) => dimensionsOf(declared, schemaOf(mlp), {}, 'space', context)
  expect(space({ sparkle: { uniform: [0, 9] } })).toMatchObject([{ name: 'sparkle', kind: 'uniform' }])
  expect(() => space({ sparkle: { uniform: [0, 10] } })).toThrow(
    'space: sparkle must be a number from 0 to 9, not 10',
  )
  expect(fieldOf('sparkle').label).toBe('Sparkle')
  choose('sparkle', '6')
  expect(problems.value.sparkle).toBe('a number from 0 to 5')
  choose('sparkle', '4')
  expect(problems.value.sparkle).toBeUndefined()
  // Undefined until the page has read its data.
  expect(chosen.value).toBeUndefined()
  expect(settingsPage()).toContain('| `sparkle` | `--sparkle` | How much the gradient sparkles |')
})

test('docs/settings.md is what the code says; if not, run: npm run docs', () => {
  const { sparkle: _, ...own } = KNOWN
  expect(readFileSync('docs/settings.md', 'utf8')).toBe(settingsPage(own))
})
