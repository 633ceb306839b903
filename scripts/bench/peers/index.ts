import { fileURLToPath } from 'node:url'
import type { WorkloadName } from '../workloads.ts'
import { type Participant, type Request, startProgram } from './protocol.ts'

/** Where peers are looked for. */
export interface Places {
  /** A Python that has PyTorch. */
  readonly python: string
  /** A folder whose `node_modules` have the JavaScript libraries. */
  readonly folder: string
}

/** Another framework that trains the same models. */
export interface Peer {
  readonly about: string
  /** What it is measured on. */
  readonly workloads: readonly WorkloadName[]
  readonly install: string
  readonly start: (request: Request, places: Places) => Promise<Participant>
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** A trainer of child.ts, run as this program is. */
export const startChild = (peer: string, request: Request, folder: string): Promise<Participant> =>
  startProgram(process.execPath, [
    ...process.execArgv,
    here('child.ts'),
    peer,
    JSON.stringify(request),
    folder,
  ])

export const startPyTorch = (
  request: Request,
  { python }: Places,
  options: { readonly compiled?: boolean; readonly export?: string } = {},
): Promise<Participant> =>
  startProgram(python, [here('pytorch.py'), JSON.stringify({ ...request, ...options })])

const PYTORCH = {
  workloads: ['lecture', 'small', 'tiny', 'lenet', 'gpt'],
  install: 'pip install torch, and name that Python with --python or ONNXGRAD_PYTHON',
} as const

const javascript = (peer: string, about: string, packages: string): Peer => ({
  about,
  // What they take seconds for is left out.
  workloads: ['lecture', 'small'],
  install: `npm install ${packages}, and name that folder with --peers-from`,
  start: (request, { folder }) => startChild(peer, request, folder),
})

export const PEERS: Readonly<Record<string, Peer>> = {
  pytorch: {
    ...PYTORCH,
    about: 'PyTorch, eager',
    start: (request, places) => startPyTorch(request, places),
  },
  'pytorch-compiled': {
    ...PYTORCH,
    about: 'PyTorch, torch.compile',
    start: (request, places) => startPyTorch(request, places, { compiled: true }),
  },
  tfjs: javascript('tfjs', 'TensorFlow.js, WASM', '@tensorflow/tfjs @tensorflow/tfjs-backend-wasm'),
  'tfjs-node': javascript('tfjs-node', 'TensorFlow.js, native', '@tensorflow/tfjs-node'),
  'jax-js': javascript('jax-js', 'jax-js, WASM', '@jax-js/jax'),
}
