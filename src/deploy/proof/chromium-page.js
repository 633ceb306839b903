// A page that runs models for `verify`: it asks the program that opened it what to do, and answers. Its module is served beside
// onnxruntime-web's scripts. Messages are those of message.ts.

/**
 * @typedef {{ type: string, dims: number[], offset: number, bytes: number }} Packed
 * @typedef {{ id: number, do: 'load', model: Packed } | { id: number, do: 'run', session: number, feeds: Record<string, Packed> }
 *   | { id: number, do: 'time', session: number, feeds: Record<string, Packed>, runs: number } | { id: number, do: 'close', session: number }} Command
 */

const ALIGN = 8
const aligned = (/** @type {number} */ at) => Math.ceil(at / ALIGN) * ALIGN

/** @type {Record<string, any>} Constructors of element types; where there is an array of halfs, onnxruntime takes that. */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Reflect.get(globalThis, 'Float16Array') ?? Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

/** @param {object} value @param {ArrayBufferView[]} parts */
function packed(value, parts = []) {
  const text = new TextEncoder().encode(JSON.stringify(value))
  const start = aligned(4 + text.length)
  const bytes = new Uint8Array(start + parts.reduce((n, part) => n + aligned(part.byteLength), 0))
  new DataView(bytes.buffer).setUint32(0, text.length, true)
  bytes.set(text, 4)
  let at = start
  for (const { buffer, byteOffset, byteLength } of parts) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at)
    at += aligned(byteLength)
  }
  return bytes
}

/** Answers, and gets the next command. @param {Uint8Array<ArrayBuffer>} answer @returns {Promise<{ command: Command, rest: Uint8Array }>} */
async function turn(answer) {
  const response = await fetch('turn', { method: 'POST', body: answer })
  if (!response.ok) throw new Error(`the program answered ${response.status}`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  const length = new DataView(bytes.buffer).getUint32(0, true)
  const command = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)))
  return { command, rest: bytes.subarray(aligned(4 + length)) }
}

const device = new URLSearchParams(location.search).get('device') ?? 'wasm'
/** @type {Map<number, any>} */
const sessions = new Map()
let loaded = 0

async function open() {
  const script = new URL(`ort/ort.${device}.min.mjs`, location.href).href
  const ort = await import(script)
  ort.env.wasm.wasmPaths = new URL('ort/', location.href).href
  const threads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1
  ort.env.wasm.numThreads = threads
  ort.env.logLevel = 'fatal'
  let gpu
  if (device === 'webgpu') {
    const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter()
    if (!adapter) throw new Error('no GPU adapter')
    const { vendor, architecture, description } = adapter.info
    gpu = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed GPU'
  }
  return { ort, about: { version: ort.env.versions.web, threads, gpu, browser: navigator.userAgent } }
}

/** @param {any} ort @param {Uint8Array} rest @param {Record<string, Packed>} feeds */
const tensors = (ort, rest, feeds) =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { type, dims, offset, bytes }]) => {
      const memory = rest.slice(offset, offset + bytes).buffer
      return [name, new ort.Tensor(type, new ARRAYS[type](memory), dims)]
    }),
  )

/** @param {Record<string, any>} outputs */
const dispose = outputs => {
  for (const tensor of Object.values(outputs)) tensor.dispose()
}

/** @param {any} ort @param {Command} command @param {Uint8Array} rest */
async function obey(ort, command, rest) {
  const { id } = command
  if (command.do === 'load') {
    const { offset, bytes } = command.model
    const session = await ort.InferenceSession.create(rest.slice(offset, offset + bytes), {
      executionProviders: [device],
      graphOptimizationLevel: 'all',
      logSeverityLevel: 4,
    })
    sessions.set(loaded, session)
    return packed({
      id,
      value: { session: loaded++, inputs: session.inputNames, outputs: session.outputNames },
    })
  }
  const session = sessions.get(command.session)
  if (command.do === 'close') {
    sessions.delete(command.session)
    await session.release()
    return packed({ id })
  }
  const feeds = tensors(ort, rest, command.feeds)
  if (command.do === 'time') {
    const times = []
    for (let i = 0; i < command.runs; i++) {
      const begin = performance.now()
      const outputs = await session.run(feeds)
      times.push(performance.now() - begin)
      dispose(outputs)
    }
    return packed({ id, value: times })
  }
  const outputs = await session.run(feeds)
  /** @type {Record<string, Packed>} */
  const value = {}
  const parts = []
  let offset = 0
  for (const [name, { type, dims, data }] of Object.entries(outputs)) {
    const copy = data.slice()
    value[name] = { type, dims, offset, bytes: copy.byteLength }
    parts.push(copy)
    offset += aligned(copy.byteLength)
  }
  dispose(outputs)
  return packed({ id, value }, parts)
}

/** @param {unknown} error */
const messageOf = error => (error instanceof Error ? error.message : String(error))

try {
  const { ort, about } = await open().catch(async error => {
    await turn(packed({ id: -1, error: messageOf(error) }))
    throw error
  })
  let next = await turn(packed({ id: -1, value: about }))
  for (;;) {
    const { command, rest } = next
    const answer = await obey(ort, command, rest).catch(error =>
      packed({ id: command.id, error: messageOf(error) }),
    )
    next = await turn(answer)
  }
} catch {
  // The program is gone, or wants nothing more.
  window.close()
}
