import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Which modules a module may import from, beside itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  graph: [],
  ops: ['graph'],
  data: ['graph'],
  nn: ['ops', 'graph'],
  tasks: ['nn', 'ops', 'graph'],
  optim: ['nn', 'ops', 'graph'],
  passes: ['ops', 'graph'],
  finetune: ['import', 'export', 'tasks', 'optim', 'passes', 'nn', 'ops', 'graph'],
  export: ['passes', 'nn', 'ops', 'graph'],
  import: ['export', 'passes', 'nn', 'ops', 'graph'],
  runtime: ['export', 'passes', 'ops', 'graph'],
  train: ['runtime', 'export', 'passes', 'tasks', 'optim', 'nn', 'ops', 'graph', 'data'],
  serve: ['runtime', 'graph', 'data'],
  deploy: ['train', 'serve', 'runtime', 'export', 'passes', 'tasks', 'optim', 'nn', 'ops', 'graph', 'data'],
  report: ['deploy', 'train', 'runtime', 'import', 'export', 'tasks', 'optim', 'nn', 'graph', 'data'],
  settings: ['graph'],
  runs: [
    ...[
      'report',
      'deploy',
      'finetune',
      'train',
      'runtime',
      'import',
      'export',
      'tasks',
      'optim',
      'nn',
      'graph',
      'data',
      'settings',
    ],
    'models',
  ],
  testing: ['runtime', 'import', 'export', 'passes', 'ops', 'graph'],
  models: ['nn', 'ops', 'graph', 'settings'],
  terminal: ['runs', 'report', 'deploy', 'train', 'data', 'graph'],
  cli: [
    'terminal',
    'runs',
    'deploy',
    'serve',
    'settings',
    'report',
    'finetune',
    'train',
    'runtime',
    'export',
    'passes',
    'tasks',
    'optim',
    'nn',
    'ops',
    'graph',
    'data',
    'models',
  ],
}

const files = ['src', 'models'].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => join(folder, file)),
)

/** What each file imports, types included; files by their path. */
const imports: ReadonlyMap<string, readonly string[]> = new Map(
  files.map(file => {
    const source = readFileSync(join(root, file), 'utf8')
    const names = [...source.matchAll(/(?:from|import\(?)\s*'([^']+)'/g)].map(m => m[1]!)
    return [
      file,
      names.map(name => (name.startsWith('.') ? relative(root, resolve(root, dirname(file), name)) : name)),
    ]
  }),
)

/** `src/graph/node.ts` is in the module graph, `models/vit.ts` in models; files of src itself are in none. */
const moduleOf = (file: string): string | undefined => {
  const [top, module, ...rest] = file.split('/')
  return top === 'models' ? 'models' : rest.length ? module : undefined
}

test('modules import only from the modules below them', () => {
  const wrong = [...imports].flatMap(([file, targets]) => {
    const module = moduleOf(file)
    if (!module) return []
    return targets
      .filter(target => {
        const other = imports.has(target) ? moduleOf(target) : undefined
        return other && other !== module && !ARROWS[module]?.includes(other)
      })
      .map(target => `${file} → ${target}`)
  })
  expect(wrong).toEqual([])
  expect(Object.keys(ARROWS).filter(module => !files.some(file => moduleOf(file) === module))).toEqual([])
})

/** Groups of files that reach each other by their imports: strongly connected components of more than one (Tarjan 1972). */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const path: string[] = []
  const circles: string[] = []
  const visit = (file: string): number => {
    index.set(file, index.size)
    low.set(file, index.get(file)!)
    path.push(file)
    for (const target of graph.get(file)!) {
      if (!graph.has(target)) continue
      const reached = index.has(target)
        ? path.includes(target)
          ? index.get(target)!
          : Infinity
        : visit(target)
      low.set(file, Math.min(low.get(file)!, reached))
    }
    const lowest = low.get(file)!
    if (lowest !== index.get(file)) return lowest
    const group = path.splice(path.indexOf(file))
    if (group.length > 1 || graph.get(file)!.includes(file)) circles.push(group.sort().join(' '))
    return Infinity
  }
  for (const file of graph.keys()) if (!index.has(file)) visit(file)
  return circles.sort()
}

test('no files import each other, not even types, and not by way of others', () => {
  expect(circlesOf(imports)).toEqual([])
})

test('circles are found however they are reached', () => {
  const graph = (arrows: Record<string, string>) =>
    new Map(Object.entries(arrows).map(([file, targets]) => [file, [...targets]]))
  expect(circlesOf(graph({ a: 'bc', b: 'd', c: 'd', d: 'x' }))).toEqual([])
  expect(circlesOf(graph({ a: 'b', b: 'c', c: 'bd', d: '', e: 'a' }))).toEqual(['b c'])
  expect(circlesOf(graph({ a: 'b', b: 'ca', c: 'd', d: 'e', e: 'c', f: 'f' }))).toEqual(['a b', 'c d e', 'f'])
  expect(circlesOf(graph({ a: 'b', b: 'c', c: 'ab' }))).toEqual(['a b c'])
})

test('what a page needs imports nothing of Node', () => {
  const nodeOnly = (file: string) =>
    /^src\/(cli|serve|terminal)\//.test(file) || /(^|[/-])node\.ts$/.test(file)
  const reaches = (file: string, seen = new Set<string>()): string[] => {
    if (seen.has(file)) return []
    seen.add(file)
    return (imports.get(file) ?? []).flatMap(target =>
      target.startsWith('node:') ? [file] : reaches(target, seen),
    )
  }
  // src/graph/node.ts is a node of a graph, not Node.
  const page = files.filter(file => file === 'src/graph/node.ts' || !nodeOnly(file))
  expect(page.filter(file => reaches(file).length)).toEqual([])
  expect(reaches('src/index.ts')).toEqual([])
  expect(reaches('src/node.ts')).not.toEqual([])
})
