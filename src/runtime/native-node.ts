import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import { type Ort, ortOf, plainMessage } from './session.ts'

/** onnxruntime-node cannot be loaded. */
export class NativeProblem extends UserError {}

export interface Native {
  readonly ort: Ort
  readonly version: string
}

/**
 * onnxruntime-node, which is an optional dependency: its install script downloads CUDA's libraries on Linux x64, and if that fails,
 * npm skips the package.
 * @throws NativeProblem saying why it cannot be loaded and how to install it
 */
export async function loadNative(): Promise<Native> {
  const ort = await import('onnxruntime-node').catch((error: unknown) => {
    throw new NativeProblem(nativeProblem(error))
  })
  // Its errors come back as exceptions; on stderr they would be said twice.
  ort.env.logLevel = 'fatal'
  return { ort: ortOf(ort), version: ort.env.versions.node ?? 'unknown' }
}

/** A machine, as far as the native runtime depends on it. */
export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly musl: boolean
}

export const thisMachine = (): Machine => ({
  platform: process.platform,
  arch: process.arch,
  musl: process.platform === 'linux' && isMusl(),
})

/** Node reports glibc's version where it runs on that. */
function isMusl(): boolean {
  const { header } = fieldsOf(process.report.getReport())
  return fieldsOf(header).glibcVersionRuntime === undefined
}

/** The command that installs onnxruntime-node where it is missing; only on Linux x64 it has something to skip. */
export const installCommand = ({ platform, arch }: Machine): string =>
  platform === 'linux' && arch === 'x64'
    ? 'ONNXRUNTIME_NODE_INSTALL=skip npm install'
    : 'npm install --include=optional'

/** Why onnxruntime-node cannot be loaded and what to do, in one line. */
export function nativeProblem(error: unknown, machine = thisMachine()): string {
  const { platform, arch, musl } = machine
  const text = plainMessage(error)
  if (/Cannot find (package|module) '?onnxruntime-node/.test(text))
    return `onnxruntime-node is not installed; to get it, run: ${installCommand(machine)}`
  const here = `onnxruntime-node does not run on ${platform} ${arch}`
  if (musl) return `${here} with musl: its libraries need glibc, as in Debian or Ubuntu`
  if (/Cannot find module .*onnxruntime_binding\.node/.test(text))
    return `${here}: it has no library for this platform`
  return `onnxruntime-node cannot be loaded: ${text}`
}
