import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'
import { type Answer, BUSY, ENDING, type Question } from './calls.ts'
import { plainMessage } from './session.ts'

/** What runs thread-node.ts: it answers questions in the order in which they are asked. */
export interface Host {
  /** A thread sees memory that threads share. */
  readonly kind: 'thread' | 'process'
  /** Asks; null ends it after what it has been asked so far. */
  post(question: Question | null): void
  /** Whether the process, or thread, that asks stays alive for it. */
  keepAlive(on: boolean): void
}

export interface Listener {
  answered(answer: Answer): void
  /** It stops answering. Called again where it had failed before it ended. */
  failed(why: string): void
  /** It is gone. */
  ended(): void
}

const HERE: string | undefined = import.meta.url

/**
 * The program of a host: beside this file or, where a bundler has put this code elsewhere, in the package; undefined where
 * it is in neither.
 */
export function hostProgram(): URL | undefined {
  // Undefined in a bundle of CommonJS modules.
  if (!HERE) return undefined
  // A variable, for bundlers take a file name in `new URL` for a file of theirs.
  const name = HERE.endsWith('.ts') ? 'thread-node.ts' : 'thread-node.js'
  const beside = new URL(name, HERE)
  if (existsSync(beside)) return beside
  try {
    const entry = pathToFileURL(createRequire(HERE).resolve('onnxgrad/node'))
    const packaged = new URL(`runtime/${name}`, entry)
    return existsSync(packaged) ? packaged : undefined
  } catch {
    return undefined
  }
}

/** In this repository programs are TypeScript, for which tsx must be registered in each thread and process. */
const register = (file: URL): string =>
  file.pathname.endsWith('.ts')
    ? `import{register}from${JSON.stringify(import.meta.resolve('tsx/esm/api'))};register();`
    : ''

/**
 * Starts a thread for onnxruntime or, where this is not the main thread, a process: onnxruntime aborts the whole process
 * when a thread that it computes in is ended. The main thread can wait for it at its own end; any other may be
 * terminated at any moment.
 */
export const startHost = (file: URL, listener: Listener): Host =>
  (isMainThread ? startThread : startProcess)(file, listener)

/** How long the end of the process waits for a call; longer than any step. */
const PATIENCE_MS = 60_000

function startThread(file: URL, listener: Listener): Host {
  const flags = new Int32Array(new SharedArrayBuffer(8))
  // The text has the flags of this process, as all threads do; for a file, Node refuses some of them.
  const text = `${register(file)}await import(${JSON.stringify(file)})`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`), {
    workerData: flags,
  })
  /** The end of the process waits for the call that is being computed, and no other is begun. */
  const settle = (): void => {
    Atomics.store(flags, ENDING, 1)
    Atomics.wait(flags, BUSY, 1, PATIENCE_MS)
  }
  process.on('exit', settle)
  worker.unref()
  worker.on('message', listener.answered)
  worker.on('error', error => listener.failed(plainMessage(error)))
  worker.on('exit', code => {
    process.off('exit', settle)
    listener.failed(`exit code ${code}`)
    listener.ended()
  })
  return {
    kind: 'thread',
    post: question => worker.postMessage(question),
    keepAlive: on => (on ? worker.ref() : worker.unref()),
  }
}

/** Flags of Node that name loaders and what they load, each with its value. */
const LOADERS = /^(--import|--require|-r|--loader|--experimental-loader|--conditions|-C)(=|$)/

const loaders = (flags: readonly string[]): string[] =>
  flags.flatMap((flag, i) => {
    const found = LOADERS.exec(flag)
    return found ? (found[2] ? [flag] : flags.slice(i, i + 2)) : []
  })

function startProcess(file: URL, listener: Listener): Host {
  const text = register(file)
  const execArgv = [
    ...loaders(process.execArgv),
    ...(text ? ['--import', `data:text/javascript,${encodeURIComponent(text)}`] : []),
  ]
  const child = fork(fileURLToPath(file), {
    execArgv,
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const keepAlive = (on: boolean): void => {
    for (const handle of [child, child.channel]) on ? handle?.ref() : handle?.unref()
  }
  keepAlive(false)
  child.on('message', listener.answered)
  child.on('error', error => {
    listener.failed(plainMessage(error))
    if (child.pid === undefined) listener.ended()
  })
  child.on('close', (code, signal) => {
    listener.failed(signal ?? `exit code ${code}`)
    listener.ended()
  })
  return {
    kind: 'process',
    post: question => void child.send(question as object, () => {}),
    keepAlive,
  }
}
