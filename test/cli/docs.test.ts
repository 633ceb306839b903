import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { VERBS } from '../../src/cli/verbs.ts'
import { readSpace } from '../../src/runs/search/space.ts'
import { codeOf, PAGES, textOfPage } from '../types/blocks.ts'
import { ROOT } from '../types/compile.ts'
import { start } from './program.ts'

const flagsIn = (text: string): string[] => [...text.matchAll(/(?:^|[\s`])(--[a-z][a-z-]*)/g)].map(m => m[1]!)

const verbs = VERBS.map(({ command }) => command.split(' ')[0]!)

/** The flags of each verb, by its own help. */
const helps = new Map(
  await Promise.all(
    verbs.map(async verb => {
      const { stdout } = await start([verb, '--help-all']).finished
      const flags = flagsIn(stdout)
      const negated = flags.filter(flag => new RegExp(`${flag}\\s[^[]*\\[boolean\\]`).test(stdout))
      return [verb, new Set([...flags, ...negated.map(flag => flag.replace('--', '--no-'))])] as const
    }),
  ),
)

const scripts: Readonly<Record<string, string>> = JSON.parse(textOfPage('package.json')).scripts
const isFile = (path: string): boolean =>
  statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile() ?? false

/** What is wrong with a command of a page; undefined where a reader can run it. */
function faultOf(command: string): string | undefined {
  const [program, first, ...rest] = command.split(/\s+/).filter(word => !/^[A-Z_]+=/.test(word))
  if (program === 'npx' && first === 'onnxgrad') {
    const [verb = ''] = rest
    const flags = helps.get(verb)
    if (!flags) return `no verb ${verb}`
    const unknown = flagsIn(command).find(flag => !flags.has(flag))
    return unknown && `${verb} has no ${unknown}`
  }
  if (program === 'npm' && first === 'run') return rest[0]! in scripts ? undefined : `no script ${rest[0]}`
  if (program === 'npx' && first === 'tsx') return isFile(rest[0]!) ? undefined : `no file ${rest[0]}`
  if (program === 'node' || program === 'python3') return isFile(first!) ? undefined : `no file ${first}`
  const known = ['npm ci', 'npm test', 'npm install', 'pip install', 'npx vite']
  return known.includes(`${program} ${first}`) || ['cat', 'cp'].includes(program ?? '')
    ? undefined
    : `unknown command ${program} ${first}`
}

const shell = PAGES.flatMap(codeOf).filter(({ language }) => language === 'sh')

test('commands that are wrong are found', () => {
  expect(faultOf('npx onnxgrad train vit --epochs 3 --weight-decay 0.1')).toBeUndefined()
  expect(faultOf('npx onnxgrad train vit --epoch 3')).toBe('train has no --epoch')
  expect(faultOf('npx onnxgrad teach vit')).toBe('no verb teach')
  expect(faultOf('npm run nothing')).toBe('no script nothing')
})

test.each(shell.map(({ place, code }) => [place, code] as const))(
  '%s: every command exists, with its flags',
  (_, code) => {
    const commands = code
      .split('\n')
      .map(line => line.replace(/(^|\s)#.*$/, ''))
      .flatMap(line => line.split(/&&|\|(?!\|)/))
      .map(command => command.trim())
      .filter(Boolean)
    expect(commands.length).toBeGreaterThan(0)
    expect(commands.map(faultOf).filter(Boolean)).toEqual([])
  },
)

describe.each(PAGES)('%s', page => {
  const text = textOfPage(page)
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '')

  test('names only flags that a verb has', () => {
    const all = new Set([...helps.values()].flatMap(flags => [...flags]))
    const named = [...prose.matchAll(/`(?:npx onnxgrad [^`]*|--[^`]*)`/g)].flatMap(([code]) => flagsIn(code))
    expect(named.filter(flag => !all.has(flag))).toEqual([])
  })

  test('links to files and headings that exist', () => {
    const links = [...prose.matchAll(/\]\((?!https?:)([^)\s]*)\)/g)].map(m => m[1]!)
    const broken = links.filter(link => {
      const [path = '', heading] = link.split('#')
      const target = path ? join(dirname(page), path) : page
      if (!existsSync(join(ROOT, target))) return true
      return heading !== undefined && !headingsOf(target).has(heading)
    })
    expect(broken).toEqual([])
  })
})

/** The anchors that GitHub gives a page's headings. */
const headingsOf = (page: string): Set<string> =>
  new Set(
    [...textOfPage(page).matchAll(/^#+ (.*)$/gm)].map(({ 1: title = '' }) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )

test('spaces of a search are read', () => {
  const spaces = PAGES.flatMap(codeOf).filter(({ language }) => language === 'json')
  expect(spaces.length).toBeGreaterThan(0)
  for (const { code, place } of spaces) expect(readSpace(JSON.parse(code), place).length).toBeGreaterThan(0)
})
