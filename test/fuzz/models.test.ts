import { expect, test } from 'vitest'
import { buildModel, MODELS } from '../../models/index.ts'
import { fuzz } from './fuzz.ts'
import { mutateTree, pick } from './mutate.ts'

const presets = Object.entries(MODELS).flatMap(([name, { presets }]) =>
  Object.values(presets).map(config => ({ name, config })),
)

/** Values that JSON has and no configuration. */
const ODD = ['{"toString":1}', 'null', '[]', '"9"', '1e9', '1.5', '-1', '[[1]]']

test('a configuration with changed sizes and lists is built or refused, never worse', async () => {
  const built = await fuzz(
    'configurations',
    1500,
    random => {
      const tree = structuredClone(pick(presets, random)) as { name: string; config: object }
      mutateTree(tree, random, Object.keys(MODELS))
      const text = JSON.stringify(tree)
      return Buffer.from(random.int(4) ? text : text.replace(/:\d+/, () => `:${pick(ODD, random)}`))
    },
    bytes => {
      const { name, config } = JSON.parse(Buffer.from(bytes).toString()) as { name?: string; config?: object }
      buildModel(String(name), config ?? {})
    },
  )
  expect(built).toBeGreaterThan(100)
})

test('what a model may have at most is refused by its numbers', () => {
  const { lecture } = MODELS.vit.presets
  expect(() => buildModel('vit', { ...lecture, depth: 1e6 })).toThrow(
    'vit: depth must be at most 1024, not 1000000',
  )
  expect(() => buildModel('vit', { ...lecture, dim: 2 ** 16, mlp: 2 ** 20 })).toThrow(
    /^vit: has \d+ parameters; at most 2147483648 are allowed$/,
  )
  expect(() => buildModel('mlp', { ...MODELS.mlp.presets.small, hidden: 'many' })).toThrow(
    'mlp: hidden must be a list of at most 1024 sizes, not many',
  )
})
