/** Where a file can be proved: onnxruntime-node on three devices, onnxruntime-web in Node and in Chromium. */
export type ProofDevice = 'cpu' | 'wasm' | 'webgpu' | 'cuda' | 'chromium-wasm' | 'chromium-webgpu'

/** What a file holds. */
export interface FileFacts {
  /** Its path, or a name in messages. */
  readonly name: string
  /** Size of the file. */
  readonly bytes: number
  /** Bytes of its weights and constants, by element type, the largest first. */
  readonly weights: Readonly<Record<string, number>>
  /** `float32`, or what is in it of lower precision: `int8`, `float16`, `int8 + float16`. */
  readonly form: string
  /** Whether rounding is expected: whether `form` is not `float32`. */
  readonly lossy: boolean
  /** Version of the default operator set. */
  readonly opset: number
  /** First release of onnxruntime that reads the file, such as `1.12`; absent for an unknown opset. */
  readonly onnxruntime?: string
}

/** What a file is measured against. */
export interface ReferenceFacts {
  /** What it is, in words. */
  readonly name: string
  /** Its file, where it is another than the proved one. */
  readonly file?: FileFacts
  /** Bytes of the proved file, as a share of those of the reference's. */
  readonly sizeRatio?: number
}

/** Limits that a file must keep. */
export interface Thresholds {
  /** Largest difference of a value; for float32 files. */
  readonly tolerance: number
  /** Most points of accuracy that may be lost; never less than one example. @default 0.5 for lossy files, none for float32 */
  readonly maxDrop?: number | undefined
  /** Least share of equal predictions. @default 0.95 for lossy files, none for float32 */
  readonly minAgreement?: number | undefined
  /** Largest root-mean-square difference, as a share of the spread of the values; for lossy files without classes. @default 0.1 */
  readonly maxError?: number | undefined
}

/** Differences of one output. */
export interface OutputDifference {
  /** Largest |difference|; NaN where something is not a number, or sizes differ. */
  readonly max: number
  /** Mean |difference|. */
  readonly mean: number
  /** Root-mean-square difference, as a share of the standard deviation of the reference's values. */
  readonly error: number
}

/** Right answers of a class. */
export interface ClassCount {
  /** Examples of the class. */
  readonly count: number
  /** How many of them the reference gets right. */
  readonly reference: number
  /** How many of them the file gets right. */
  readonly file: number
}

/** An example that file and reference classify differently. */
export interface Disagreement {
  /** Place in the test set, from 0. Of tokens, the place of the token. */
  readonly index: number
  /** Its label, where there are labels. */
  readonly truth?: number
  /** What the reference answers. */
  readonly reference: number
  /** What the file answers. */
  readonly file: number
  /** Probability that each gives to its own answer. */
  readonly certainty: { readonly reference: number; readonly file: number }
  /** Largest difference of its logits. */
  readonly difference: number
}

/** Answers of a classifier. */
export interface Agreement {
  /** Predictions compared: one an example, or one a token. */
  readonly count: number
  /** Share of predictions that are the reference's. */
  readonly agreement: number
  /** Accuracy of both, and points lost (negative: gained); absent without labels. */
  readonly accuracy?: { readonly reference: number; readonly file: number; readonly drop: number }
  /** By label; absent without labels. */
  readonly classes?: readonly ClassCount[]
  /** The most different ones first, at most 20. */
  readonly disagreements: readonly Disagreement[]
  /** How many there are in all. */
  readonly disagreed: number
}

/** Milliseconds of a run: the median, and what 99 % stay below. */
export interface Latency {
  /** The median. */
  readonly p50: number
  /** What 99 % of the runs stay below. */
  readonly p99: number
}

/** One size of batches, timed. */
export interface Timing {
  /** Examples of a run of the file. */
  readonly batch: number
  /** Times of the file. */
  readonly file: Latency
  /** Times of the reference, on the same runtime, by turns with the file. */
  readonly reference?: Latency
  /** Examples a second, by the medians. */
  readonly throughput: { readonly file: number; readonly reference?: number }
  /** How many times the reference's speed the file has: above 1 it is faster. */
  readonly speedup?: number
}

/** What one runtime made of a file. */
export interface RuntimeProof {
  /** Where it ran. */
  readonly device: ProofDevice
  /** Such as `onnxruntime-node cpu`. */
  readonly runtime: string
  /** Of onnxruntime; in a browser, with that. */
  readonly version: string
  /** Whether it keeps every threshold. */
  readonly ok: boolean
  /** What failed, with numbers. */
  readonly failures: readonly string[]
  /** Why nothing was returned. */
  readonly error?: string
  /** How many examples were compared. */
  readonly examples: number
  /** Largest difference of any output; NaN where something is not a number. */
  readonly maxAbsDiff: number
  /** Differences of each output of the reference, by name. */
  readonly outputs: Readonly<Record<string, OutputDifference>>
  /** Of classifiers. */
  readonly answers?: Agreement
  /** Of one example at a time, or as many as the file takes. */
  readonly latency?: Timing
  /** Of 64 examples at a time, or as many as the file takes. */
  readonly throughput?: Timing
  /** Further facts, such as the GPU, or that copies between processes count. */
  readonly detail?: string
}

/** Everything that was found out about a file. */
export interface Proof {
  /** Whether every runtime keeps every threshold. */
  readonly ok: boolean
  /** What failed, one line for each runtime and threshold. */
  readonly failures: readonly string[]
  /** What the file holds. */
  readonly file: FileFacts
  /** What it was measured against. */
  readonly reference: ReferenceFacts
  /** Name and size of the test set. */
  readonly examples: { readonly name: string; readonly size?: number; readonly classes?: readonly string[] }
  /** The limits. */
  readonly thresholds: Thresholds
  /** What each runtime made of the file. */
  readonly runtimes: readonly RuntimeProof[]
  /** Devices that were not asked for by name and do not work here. */
  readonly skipped: readonly { readonly device: ProofDevice; readonly reason: string }[]
  /** In plain words, for lossy files: on which runtimes the file is faster or slower. */
  readonly speed: readonly string[]
  /** Where the proof was made. */
  readonly machine: {
    readonly processor: string
    readonly cores: number
    readonly threads: string
    readonly system: string
    readonly node: string
    readonly onnxgrad: string
  }
  /** ISO 8601. */
  readonly date: string
}
