import { beforeAll, describe, expect, test } from 'vitest'
import { packageDeclarations } from './declarations.ts'
import {
  ENTRIES,
  type Entry,
  type Export,
  isDocumented,
  membersOf,
  namesIn,
  printed,
  readSurface,
  type Surface,
} from './surface.ts'

const entries = Object.keys(ENTRIES) as Entry[]

/**
 * Types of which users see only the result, or the error: arithmetic on shapes, and the signatures of layers that are made of it.
 * They are printed with what refers to them.
 */
const isMachinery = (file: string, name: string): boolean =>
  file.startsWith('src/graph/typed/') ||
  /^(src\/nn\/signatures|models\/vit-config)\.d\.ts$/.test(file) ||
  /Fn$/.test(name) ||
  ['ArrayOf', 'DTypeOf', 'ShapeOf', 'Mutable', 'Written'].includes(name)

let surface: Surface
beforeAll(async () => {
  surface = readSurface(await packageDeclarations())
}, 120_000)

/** What an entry point has beside the core, which all but `onnxgrad/models` export again. */
function ownOf(entry: Entry): readonly Export[] {
  const all = surface.exports[entry]
  if (entry === 'onnxgrad') return all
  const core = new Set(surface.exports.onnxgrad.map(e => e.symbol))
  return all.filter(e => !core.has(e.symbol))
}

/** Types by which signatures are written that are not exported, with who refers to them. */
function unexported(
  entry: Entry,
): Map<string, { readonly file: string; readonly by: Export; readonly it: Export }> {
  const known = new Set([...surface.exports[entry], ...surface.exports.onnxgrad].map(e => e.symbol))
  const found = new Map<string, { file: string; by: Export; it: Export }>()
  const look = (by: Export): void => {
    for (const symbol of namesIn(surface, by)) {
      const declarations = symbol.declarations ?? []
      const file = declarations[0] ? surface.fileOf(declarations[0]) : ''
      if (known.has(symbol) || found.has(symbol.name + file) || file.startsWith('src/graph/typed/')) continue
      const it = { name: symbol.name, symbol, declarations }
      found.set(symbol.name + file, { file, by, it })
      look(it)
    }
  }
  for (const e of ownOf(entry)) look(e)
  return found
}

describe.each(entries)('%s', entry => {
  test('has the signatures of the snapshot: a change of the API is seen in review', async () => {
    const hidden = [...unexported(entry).values()].filter(({ file }) => !file.startsWith('src/graph/typed/'))
    const text = [
      `// The API of ${entry}${entry === 'onnxgrad/node' || entry === 'onnxgrad/web' ? ', beside that of onnxgrad' : ''}. Written by test/api/api.test.ts: npx vitest run test/api -u`,
      ...ownOf(entry).map(e => `// ${e.name}\n${printed(e)}`),
      ...(hidden.length ? ['// Not exported, but part of signatures:'] : []),
      ...hidden.map(({ it }) => printed(it)),
    ].join('\n\n')
    await expect(`${text}\n`).toMatchFileSnapshot(`./${entry.replace('/', '-')}.api.txt`)
  })

  test('exports every type that its signatures name', () => {
    const missing = [...unexported(entry).values()]
      .filter(({ file, it }) => !isMachinery(file, it.name))
      .map(({ file, by, it }) => `${it.name} (${file}), which ${by.name} names`)
    expect(missing).toEqual([])
  })

  test('documents every export, and every member of its types', () => {
    const own = ownOf(entry)
    expect(own.filter(e => !isDocumented(surface, e.symbol)).map(e => e.name)).toEqual([])
    const members = own.flatMap(e =>
      membersOf(e)
        .filter(m => !isDocumented(surface, surface.checker.getSymbolAtLocation(m.name!)!))
        .map(m => `${e.name}.${m.name!.getText()}`),
    )
    expect(members).toEqual([])
  })

  test('needs the declarations of no other package, of Node or of a newer compiler', () => {
    expect(surface.foreign(entry)).toEqual([])
  })
})

test('onnxgrad/node and onnxgrad/web mean the same by the names that both have', () => {
  const names = (entry: Entry) => ownOf(entry).map(e => e.name)
  const [node, web] = [names('onnxgrad/node'), names('onnxgrad/web')]
  // Runs on a disk are Node's, with their settings and what verifies their files.
  const runs = ownOf('onnxgrad/node').flatMap(e =>
    /^src\/(runs|settings|train\/verify|report\/compare|runtime\/profile)/.test(
      surface.fileOf(e.declarations[0]!),
    ) && e.name !== 'reportOfRun'
      ? [e.name]
      : [],
  )
  // Files, downloads and processes are Node's; what the page's user chooses, and the GPU's loss, a page's.
  expect(node.filter(name => !web.includes(name) && !runs.includes(name))).toEqual([
    'Agreement',
    'ClassCount',
    'Disagreement',
    'DownloadLimits',
    'Env',
    'EventWriter',
    'FetchOptions',
    'FileFacts',
    'FollowOptions',
    'ImagesOptions',
    'IsolatedOptions',
    'Latency',
    'MnistOptions',
    'OutputDifference',
    'Proof',
    'ProofDevice',
    'ProofOptions',
    'ReferenceFacts',
    'ReportSource',
    'RuntimeProof',
    'Thresholds',
    'Timing',
    'filesBeside',
    'images',
    'isolatedRuntime',
    'mnist',
    'nodeRuntime',
    'proofPage',
    'proveFile',
    'reportOfRun',
  ])
  expect(web.filter(name => !node.includes(name))).toEqual([
    'LabelledFile',
    'PlacedFile',
    'WasmFiles',
    'WasmPaths',
    'WebDeviceName',
    'WebRuntime',
    'download',
  ])
  expect(node.filter(name => web.includes(name))).toContain('train')
})

test('a name means one thing: no two entry points export different things by it, but those bound to a host', () => {
  const seen = new Map<string, Export>()
  const twice = entries.flatMap(entry =>
    ownOf(entry).filter(e => {
      const known = seen.get(e.name)
      seen.set(e.name, e)
      return known && known.symbol !== e.symbol && !surface.exports['onnxgrad/web'].includes(e)
    }),
  )
  expect(twice.map(e => e.name)).toEqual([])
})
