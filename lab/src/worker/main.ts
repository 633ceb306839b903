import { UserError } from '../../../src/graph/errors.ts'
import type { Event } from '../protocol.ts'
import type { Answer, Hello, Question } from '../wire.ts'
import { DeviceLost, makeLab } from './lab.ts'

/**
 * What browsers and onnxruntime say when there is no more memory (a tensor of more than 4 GB is an integer overflow);
 * WebAssembly does not come back from it.
 */
const MEMORY =
  /bad_alloc|out of memory|aborted\(|memory access out of bounds|allocation failed|failed to allocate|integer overflow/i

const send = (message: Answer | Event | Hello, transfer: Transferable[] = []): void =>
  self.postMessage(message, { transfer })

function failure(error: unknown): { error: string; fatal: boolean } {
  const text = error instanceof Error ? error.message : String(error)
  if (MEMORY.test(text) || error instanceof RangeError)
    return {
      error: 'Not enough memory: use a smaller batch or a smaller model',
      fatal: true,
    }
  if (error instanceof DeviceLost) return { error: text, fatal: true }
  return { error: error instanceof UserError ? text : `Something went wrong: ${text}`, fatal: false }
}

// A checkpoint is written for the page alone, and may be large.
const lab = makeLab(event => send(event, event.event === 'saved' ? [event.bytes.buffer] : []))

self.addEventListener('message', async ({ data: { id, name, args } }: MessageEvent<Question>) => {
  try {
    const handler = lab[name] as (...args: Question['args']) => unknown
    const value = await handler(...args)
    // Files are made for the page alone.
    send({ id, value }, value instanceof Uint8Array ? [value.buffer] : [])
  } catch (error) {
    send({ id, ...failure(error) })
  }
})

/** Held for as long as this worker lives. */
const lock = `onnxgrad-${crypto.randomUUID?.() ?? Math.random()}`
void navigator.locks?.request(lock, () => {
  send({ lock })
  return new Promise(() => {})
})
