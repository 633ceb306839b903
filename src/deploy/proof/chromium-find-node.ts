import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { UserError } from '../../graph/errors.ts'

type Env = Readonly<Record<string, string | undefined>>

const NAMES = [
  ...['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
  ...['chrome', 'microsoft-edge-stable', 'microsoft-edge'],
]

const MAC = [
  'Google Chrome.app/Contents/MacOS/Google Chrome',
  'Chromium.app/Contents/MacOS/Chromium',
  'Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
]
const WINDOWS = [
  'Google\\Chrome\\Application\\chrome.exe',
  'Chromium\\Application\\chrome.exe',
  'Microsoft\\Edge\\Application\\msedge.exe',
]

/** Where browsers of Chromium's family are, as a rule. */
export function chromiumPlaces(env: Env, platform: string = process.platform): string[] {
  if (platform === 'win32')
    return [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].flatMap(folder =>
      folder ? WINDOWS.map(path => `${folder}\\${path}`) : [],
    )
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean)
  const inPath = NAMES.flatMap(name => folders.map(folder => join(folder, name)))
  if (platform !== 'darwin')
    return [...inPath, ...NAMES.map(name => join('/usr/bin', name)), '/snap/bin/chromium']
  const homes = ['/Applications', ...(env.HOME ? [join(env.HOME, 'Applications')] : [])]
  return [...homes.flatMap(folder => MAC.map(path => join(folder, path))), ...inPath]
}

const runs = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )

/** The browser that `CHROME_PATH` names, or one that is found. @throws UserError when there is none */
export async function findChromium(env: Env = process.env): Promise<string> {
  const { CHROME_PATH: named } = env
  if (named) {
    if (await runs(named)) return named
    throw new UserError(`CHROME_PATH is ${named}, which is not a program`)
  }
  for (const path of chromiumPlaces(env)) if (await runs(path)) return path
  throw new UserError(
    'no Chromium, Chrome or Edge is found; install one, or name the program with the environment variable CHROME_PATH',
  )
}
