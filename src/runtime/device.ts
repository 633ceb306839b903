import type { Attr, Attrs } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { isKey } from '../graph/keys.ts'
import type { Target } from '../graph/target.ts'

/** The devices that models run on; in pages, `wasm` and `webgpu`. */
export type DeviceName = 'cpu' | 'webgpu' | 'cuda' | 'wasm'

/** The state of a device. */
export interface DeviceInfo<N extends DeviceName = DeviceName> {
  /** The value of the option `device`. */
  readonly name: N
  /** Whether it can be used. */
  readonly available: boolean
  /** Why it is not available, and what to do. */
  readonly reason?: string
  /** Details: the runtime's version, the number of threads and its limit, or the GPU. */
  readonly detail?: string
}

/** One row of the table of devices. */
export interface Device {
  /** The value of the option `device`. */
  readonly name: DeviceName
  /** Name of the execution provider in onnxruntime. */
  readonly provider: string
  /** @internal What the graph compiler must know of it. */
  readonly target: Target
  /** Tensors can stay in the device's memory between runs. */
  readonly resident: boolean
  /** `run` writes into tensors that the caller allocated. */
  readonly preallocated: boolean
  /** How to get the device where it is missing. */
  readonly install: string
}

// No provider has these for float64 (onnxruntime 1.30: registered for float32 only; LayerNormalization declares float32
// statistics).
const NO_FLOAT64 = new Set([
  'AveragePool',
  'Conv',
  'ConvTranspose',
  'Erf',
  'FusedMatMul',
  'Gelu',
  'LayerNormalization',
])
const lacks = (op: string, dtype: DType): boolean => dtype === 'float64' && NO_FLOAT64.has(op)

const numbersOf = (value: Attr): number[] => (Array.isArray(value) ? value.map(Number) : [])

/** Nodes that onnxruntime 1.30 does not run (right) on WebGPU. */
const NO_WEBGPU: Readonly<Record<string, (attrs: Attrs) => boolean>> = {
  // These have no kernel and would run on the CPU, with a copy there and back in the middle of the step.
  LogSoftmax: () => true,
  Sign: () => true,
  // The kernel refuses a second output.
  MaxPool: ({ indices }) => indices === true,
  // "Conv3D does not support grouped convolution", "Only Conv2d or Conv1d are supported".
  Conv: ({ kernel_shape, group }) => numbersOf(kernel_shape).length > 2 && Number(group) > 1,
  ConvTranspose: ({ kernel_shape }) => numbersOf(kernel_shape).length > 2,
  // Other functions than the default ones are refused, and so is smoothing.
  GRU: ({ activations }) => activations !== undefined,
  Resize: ({ antialias }) => antialias === true,
  // Steps back from another element than the last give wrong elements.
  Slice: ({ starts = [], steps = [] }) =>
    numbersOf(steps).some((step, i) => step < 0 && numbersOf(starts)[i] !== -1),
}

// What WGSL promises of both within ±π.
const WGSL_TRIGONOMETRY = 2 ** -11

const HOST: Target = {
  name: 'cpu',
  contrib: true,
  prefersProducts: true,
  maxFanout: Number.POSITIVE_INFINITY,
  statePart: 2 ** 18,
  lacks,
  inexact: {},
}

/** Every device, in the order in which `doctor` lists them. */
export const DEVICES: Readonly<Record<DeviceName, Device>> = {
  cpu: {
    name: 'cpu',
    provider: 'cpu',
    target: HOST,
    resident: false,
    preallocated: true,
    install: 'it comes with onnxruntime-node; reinstall that package',
  },
  webgpu: {
    name: 'webgpu',
    provider: 'webgpu',
    // Some adapters bind no more than 8 storage buffers in a shader, WebGPU's default limit.
    target: {
      name: 'webgpu',
      contrib: false,
      prefersProducts: false,
      maxFanout: 6,
      statePart: Number.POSITIVE_INFINITY,
      lacks: (op, dtype, attrs = {}) => Boolean(NO_WEBGPU[op]?.(attrs)) || lacks(op, dtype),
      inexact: {
        Sin: WGSL_TRIGONOMETRY,
        Cos: WGSL_TRIGONOMETRY,
        Tan: WGSL_TRIGONOMETRY,
        Acos: WGSL_TRIGONOMETRY,
      },
    },
    resident: true,
    preallocated: false,
    install: 'it needs a GPU with a Vulkan, Metal or D3D12 driver (on Linux, test it with: vulkaninfo)',
  },
  cuda: {
    name: 'cuda',
    provider: 'cuda',
    target: { ...HOST, name: 'cuda', prefersProducts: false, statePart: Number.POSITIVE_INFINITY },
    resident: false,
    preallocated: true,
    install:
      'on Linux x64 with CUDA 12 and cuDNN 9 installed, run: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12',
  },
  wasm: {
    name: 'wasm',
    provider: 'wasm',
    target: { ...HOST, name: 'wasm' },
    resident: false,
    preallocated: false,
    install: 'it comes with onnxruntime-web; reinstall onnxgrad',
  },
}

/** The row of a device. @throws UserError for a name that is not in the table */
export function deviceOf(name: string): Device {
  if (!isKey(DEVICES, name))
    throw new UserError(`unknown device ${name}; choose one of ${Object.keys(DEVICES).join(', ')}`)
  return DEVICES[name]
}
