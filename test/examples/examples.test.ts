import { expect, test } from 'vitest'
import { EXAMPLES, QUICK, testExamples } from './expected.ts'
import { exampleNames, exampleSource } from './run.ts'

testExamples(QUICK)

test('each has a test, at most 60 lines, and says how to run it', async () => {
  const names = (await exampleNames()).filter(name => name !== 'own-data')
  expect(names.toSorted()).toEqual(Object.keys(EXAMPLES).toSorted())
  for (const name of names) {
    const lines = (await exampleSource(name)).trimEnd().split('\n')
    expect(lines.length, name).toBeLessThanOrEqual(60)
    expect(lines[0], name).toMatch(/^\/\/ .*\.$/)
    expect(lines[2], name).toMatch(new RegExp(`^//   npx tsx examples/${name}\\.ts \\[[\\w-]+\\.onnx\\]$`))
  }
})
