import { type ExecFileException, execFile } from 'node:child_process'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The environment of a user whose network reaches the registry and nothing else. */
export function userEnvironment(): NodeJS.ProcessEnv {
  // npm hands its settings on to what it runs, and vitest its own.
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|ONNXRUNTIME_|NODE_OPTIONS|VITEST)/i.test(name),
  )
  return {
    ...Object.fromEntries(own),
    NO_COLOR: '1',
    // The proxy of onnxruntime-node's install script, and of nothing else: nobody listens there.
    GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:9',
    GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9',
  }
}

/** Runs a command to its end. */
export const run = (cwd: string, command: string, args: readonly string[], env = {}): Promise<Ran> =>
  new Promise(resolve => {
    const options = { cwd, env: { ...userEnvironment(), ...env }, maxBuffer: 2 ** 26 }
    execFile(command, args, options, (error: ExecFileException | null, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0
      resolve({ code, stdout, stderr })
    })
  })

/** As `run`. @throws Error with its output where it fails */
export async function succeed(cwd: string, command: string, args: readonly string[], env = {}): Promise<Ran> {
  const ran = await run(cwd, command, args, env)
  if (ran.code !== 0)
    throw new Error(`${command} ${args.join(' ')}: exit code ${ran.code}\n${ran.stdout}\n${ran.stderr}`)
  return ran
}

/** Why nothing can be installed here; nothing where it can. */
export async function noRegistry(): Promise<string | undefined> {
  const { code } = await run('.', 'npm', [
    'view',
    'onnxruntime-web',
    'version',
    '--fetch-retries=0',
    '--fetch-timeout=20000',
  ])
  return code === 0 ? undefined : 'skipped: the npm registry is not reachable'
}
