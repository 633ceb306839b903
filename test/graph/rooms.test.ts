import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Which rooms a room may import from, beside itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  graph: [],
  ops: ['graph'],
  data: ['graph'],
  nn: ['ops', 'graph'],
  passes: ['ops', 'graph'],
  export: ['ops', 'graph'],
  runtime: ['export', 'passes', 'ops', 'graph'],
  train: ['runtime', 'export', 'passes', 'nn', 'ops', 'graph', 'data'],
  report: ['train', 'runtime', 'export', 'nn', 'graph', 'data'],
  tune: ['report', 'train', 'graph', 'data'],
  models: ['nn', 'ops', 'graph'],
  cli: ['tune', 'report', 'train', 'runtime', 'export', 'passes', 'nn', 'ops', 'graph', 'data', 'models'],
}

const files = ['src', 'models'].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => join(folder, file)),
)
const imports = (file: string): string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(m => m[1]!)

/** `src/graph/node.ts` is in the room graph, `models/vit.ts` in models; files of src itself are in none. */
const roomOf = (file: string): string | undefined => {
  const [top, room, ...rest] = file.split('/')
  return top === 'models' ? 'models' : rest.length ? room : undefined
}

test('rooms import only from the rooms below them', () => {
  const wrong = files.flatMap(file => {
    const room = roomOf(file)
    if (!room) return []
    return imports(file)
      .filter(from => from.startsWith('.'))
      .map(from => relative(root, resolve(root, dirname(file), from)))
      .filter(target => {
        const other = roomOf(target)
        return other && other !== room && !ARROWS[room]!.includes(other)
      })
      .map(target => `${file} → ${target}`)
  })
  expect(wrong).toEqual([])
})

test('what a page needs imports nothing of Node', () => {
  const nodeOnly = (file: string) => file.startsWith('src/cli/') || /(^|[/-])node\.ts$/.test(file)
  const reaches = (file: string, seen = new Set<string>()): string[] => {
    if (seen.has(file)) return []
    seen.add(file)
    return imports(file).flatMap(from => {
      if (from.startsWith('node:')) return [file]
      if (!from.startsWith('.')) return []
      return reaches(relative(root, resolve(root, dirname(file), from)), seen)
    })
  }
  // src/graph/node.ts is a node of a graph, not Node.
  const page = files.filter(file => file === 'src/graph/node.ts' || !nodeOnly(file))
  expect(page.filter(file => reaches(file).length)).toEqual([])
  expect(reaches('src/index.ts')).toEqual([])
})
