import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { program, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const train = (out: string, epochs: number) => [
  ...['train', 'mlp', '--data', data, '--hidden', '8', '--epochs', `${epochs}`],
  ...['--no-verify', '--no-report', '--out', join(folder, out)],
]
const EVER = 100_000

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 200, 50)
})

const lastLine = async (out: string): Promise<unknown> =>
  JSON.parse((await readFile(join(folder, out, 'metrics.jsonl'), 'utf8')).trim().split('\n').at(-1)!)
const files = async (out: string) => (await readdir(join(folder, out))).sort()
const WHOLE = [
  ...['best.safetensors', 'config.json', 'last.safetensors', 'metrics.jsonl'],
  ...['model.onnx', 'previous.safetensors', 'steps.jsonl'],
]

const quoted = (words: readonly string[]) => words.map(word => `'${word}'`).join(' ')

/** Runs a shell's line in which `$ONNXGRAD` is the program. */
function shell(line: string, args: readonly string[]) {
  const text = line.replaceAll('$ONNXGRAD', quoted(program(args)))
  const { status, signal, stdout, stderr } = spawnSync('bash', ['-c', `set -o pipefail; ${text}`], {
    encoding: 'utf8',
    env: { ...process.env, ONNXGRAD_DEBUG: '' },
  })
  return { status, signal, stdout, stderr }
}

const heard = (child: ChildProcess, pattern: RegExp): Promise<void> =>
  new Promise((resolve, reject) => {
    let text = ''
    const hear = (chunk: Buffer) => {
      text += chunk
      if (pattern.test(text)) resolve()
    }
    child.stdout!.on('data', hear)
    child.stderr!.on('data', hear)
    child.once('close', () => reject(new Error(text)))
  })

describe.skipIf(process.platform === 'win32')('output that cannot be written', () => {
  const full = existsSync('/dev/full')
  const places = {
    'to a reader that has ended': '$ONNXGRAD 2>&1 | head -1',
    'because stdout and stderr are closed': '$ONNXGRAD >&- 2>&-',
    ...(full ? { 'because the disk is full': '$ONNXGRAD >/dev/full 2>&1' } : {}),
  }
  it.each(Object.entries(places))('%s, is dropped, and the training is done', async (name, line) => {
    const out = `run ${name}`
    const { status, signal, stdout, stderr } = shell(line, train(out, 2))
    expect({ status, signal, stderr: stderr.includes('Error') }, stderr).toEqual({
      status: 0,
      signal: null,
      stderr: false,
    })
    expect(stdout.split('\n').length).toBeLessThanOrEqual(2)
    expect(await lastLine(out)).toMatchObject({ final: true, stopped: false, epochs: 2 })
    expect(await files(out)).toEqual(WHOLE)
  })

  it('to a reader that has ended, ends a verb that prints quietly', () => {
    for (const args of [['inspect', 'mlp'], ['--help']]) {
      const { status, stderr } = shell('$ONNXGRAD | true', args)
      expect([args, status, stderr.includes('rror')]).toEqual([args, 0, false])
    }
  })

  it.skipIf(!full)('because the disk is full, fails a verb that prints, in one line', () => {
    for (const args of [['inspect', 'mlp'], ['--help']]) {
      const { status, stderr } = shell('$ONNXGRAD >/dev/full', args)
      expect([status, stderr]).toEqual([
        1,
        'onnxgrad: the output cannot be written: no space is left on the disk\n',
      ])
    }
    // A mistake is one with or without anybody to tell.
    expect(shell('$ONNXGRAD 2>/dev/full', ['inspect', 'nothing'])).toMatchObject({ status: 1, signal: null })
  })
})

const scripts = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

describe.skipIf(!scripts)('a terminal that goes away (needs script of util-linux)', () => {
  /** The exit status of a training whose terminal is closed after an epoch. */
  async function closed(prefix: string, out: string, epochs: number): Promise<string> {
    const status = join(folder, `${out}.status`)
    const log = join(folder, out, 'metrics.jsonl')
    // As shells do, it passes SIGHUP on to its jobs.
    const pass = `trap 'trap : HUP; kill -HUP 0' HUP`
    const job = `exec 3<&0; ${prefix} ${quoted(program(train(out, epochs)))} <&3 & ${pass}`
    const line = `${job}; wait $!; wait $!; echo $? >'${status}'`
    // In a session of its own, as in a window: the end of `script` closes the terminal.
    const terminal = spawn('script', ['-qec', line, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: folder,
    })
    await expect
      .poll(() => existsSync(log) && readFile(log, 'utf8'), { timeout: 50_000 })
      .toContain('"epoch":1')
    terminal.kill('SIGKILL')
    await expect.poll(() => existsSync(status) && readFile(status, 'utf8'), { timeout: 50_000 }).toMatch(/\n/)
    return (await readFile(status, 'utf8')).trim()
  }

  it('stops a training as SIGTERM does: everything is saved', async () => {
    expect(await closed('', 'closed', EVER)).toBe('129')
    expect(await lastLine('closed')).toMatchObject({ final: true, stopped: true })
    expect(await files('closed')).toEqual(WHOLE)
  })

  it('does not stop one that nohup began', async () => {
    expect(await closed('nohup', 'kept', 60)).toBe('0')
    expect(await lastLine('kept')).toMatchObject({ final: true, stopped: false, epochs: 60 })
  })

  it('does not stop one of a script that ignores SIGHUP, nor is its end an abort', async () => {
    expect(await closed(`sh -c 'trap "" HUP; "$@"; exit $?' sh`, 'ignored', 60)).toBe('0')
    expect(await lastLine('ignored')).toMatchObject({ final: true, stopped: false, epochs: 60 })
  })
})

describe.skipIf(process.platform === 'win32')('a signal', () => {
  it('that comes several times at once is one request', async () => {
    const { child, finished } = start(train('once', EVER))
    await heard(child, /epoch +1\//)
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGHUP'] as const) child.kill(signal)
    expect([129, 143]).toContain((await finished).code)
    expect(await lastLine('once')).toMatchObject({ final: true, stopped: true })
  })
})
