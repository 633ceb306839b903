import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { Answer, Answering, Question } from './calls.ts'
import type { Asked } from './isolated-node.ts'
import { nodeRuntime } from './node.ts'
import type { Feeds, OrtTensors, Runtime, Session } from './session.ts'

// The program of the process that isolated-node.ts starts: it loads models and runs them.

/** Larger answers do not fit into one message, and no model of this project gives them. */
const MOST_BYTES = 2 ** 28

let runtime: Runtime
let free = performance.now()
const sessions: Session[] = []

const calls: Asked = {
  async open(device) {
    runtime = await nodeRuntime(device)
    return runtime.version
  },
  async load(bytes, settings) {
    const session = await runtime.load(bytes, settings)
    const { inputs, outputs } = session
    return { id: sessions.push(session) - 1, inputs, outputs }
  },
  async run(id, feeds) {
    const idle = performance.now() - free
    const answer = await nth(sessions, id).run(feeds as Feeds)
    checkSize(answer)
    free = performance.now()
    return { answer, idle }
  },
  close: id => nth(sessions, id).close(),
}

function checkSize(answer: OrtTensors): void {
  const bytes = Object.values(answer).reduce((n, { data }) => n + (data.byteLength ?? 0), 0)
  if (bytes > MOST_BYTES)
    throw new UserError(
      `the model returned ${bytes.toLocaleString('en-US')} bytes; at most ${MOST_BYTES.toLocaleString('en-US')} are allowed`,
    )
}

async function answer<K extends keyof Asked>({ id, name, args }: Question<K>): Promise<Answer> {
  const answering: Pick<Answering, keyof Asked> = calls
  try {
    return { id, value: await answering[name](...args) }
  } catch (error) {
    return { id, error, user: error instanceof UserError }
  }
}

// A variable, for bundlers take a file name in `new URL` for a file of theirs.
const guard = `isolated-guard-node${extname(import.meta.url)}`
new Worker(new URL(guard, import.meta.url), { workerData: JSON.parse(nth(process.argv, 2)) })
process.on('disconnect', () => process.exit())
process.on('message', async question => {
  process.send?.(await answer(question as Question<keyof Asked>))
})
