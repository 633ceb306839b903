// The protocol between the page and its worker. All training and inference happens in the worker.
import type { Fingerprints } from '../../src/data/fingerprint.ts'
import type { PlacedFile } from '../../src/data/folder-web.ts'
import type { ImageShape, Preprocessing, PreprocessingKind } from '../../src/data/preprocess.ts'
import type { TrainedPart } from '../../src/runs/record.ts'
import type { Settings } from '../../src/runs/settings.ts'
import type { WebDeviceName } from '../../src/runtime/web.ts'

/** An architecture of `onnxgrad/models` and its configuration. */
export interface KnownModel {
  readonly name: string
  readonly config: object
}

/** The file that `base` read, and what is trained of it. */
export interface FileModel {
  readonly file: { readonly name: string; readonly sha256: string }
  readonly part: TrainedPart
}

/** How the page wants a model to be trained. */
export interface TrainSettings {
  readonly model: KnownModel | FileModel
  readonly device: WebDeviceName
  /** The settings that have a field; the others have their defaults. */
  readonly settings: Settings
}

/** Where the examples come from. */
export type DataChoice =
  /** The 10,000 digits bundled with the page. */
  | { readonly kind: 'bundled' }
  /** MNIST's IDX files, plain or gzip. */
  | { readonly kind: 'idx'; readonly files: readonly File[] }
  /** A folder of pictures: its files, each with its path from there, and how they are prepared. */
  | {
      readonly kind: 'folders'
      readonly files: readonly PlacedFile[]
      readonly preprocess: PreprocessingKind
    }

/** The chosen data. */
export interface DataAbout {
  /** Where the data came from, in one sentence. */
  readonly origin: string
  /** A warning, such as about incomplete data. */
  readonly notice?: string
  readonly train: number
  readonly test: number
  readonly fingerprints: Fingerprints
  readonly shape: readonly [channels: number, height: number, width: number]
  readonly classes: readonly string[]
}

/** What a file is as the start of a training. */
export interface BaseAbout {
  readonly name: string
  readonly sha256: string
  readonly input: ImageShape
  readonly parameters: number
  /** Number of classes, and their names where the file has them. */
  readonly classes: number
  readonly classNames?: readonly string[]
  /** What was assumed of it, in sentences. */
  readonly notes: readonly string[]
}

/** What a checkpoint says of its run. */
export interface CheckpointAbout {
  readonly model: KnownModel
  /** The file that it fine-tunes, which is needed to resume it. */
  readonly file?: { readonly name: string; readonly sha256: string }
  readonly input: readonly [channels: number, height: number, width: number]
  readonly classes: readonly string[]
  readonly parameters: number
  /** Images of an epoch. */
  readonly images: number
  /** Of its data; missing in checkpoints of older releases. */
  readonly fingerprints?: Fingerprints
  readonly epochs: number
  /** Steps done, and the whole epochs that they make. */
  readonly step: number
  readonly epoch: number
}

/** What can be changed when a run is resumed. */
export interface ResumeSettings {
  readonly device: TrainSettings['device']
  readonly epochs: number
}

/** A device and, where it cannot be used, why. */
export interface DeviceState {
  readonly name: WebDeviceName
  readonly available: boolean
  readonly reason?: string
  /** What it runs on: threads of the CPU, or the name of the GPU. */
  readonly detail?: string
}

/** Progress of a run. */
export interface RunProgress {
  readonly epoch: number
  readonly epochs: number
  readonly step: number
  readonly steps: number
  readonly lr: number
  /** Of the last step, and means over the epoch so far. */
  readonly stepLoss: number
  readonly stepAccuracy: number
  readonly loss: number
  readonly accuracy: number
  readonly imagesPerSecond: number
  readonly secondsLeft: number
}

/** A point of the curves: means over the steps since the point before. */
export interface CurvePoint {
  readonly step: number
  readonly loss: number
  readonly accuracy: number
}

export interface Mistake {
  /** `[channels, height, width]`, pixels in [0, 1]. */
  readonly pixels: Float32Array
  readonly truth: number
  readonly guess: number
  /** Probability that the model gave its guess. */
  readonly certainty: number
}

/** Results of an epoch on the held-out examples. */
export interface EpochReport {
  readonly epoch: number
  readonly step: number
  readonly trainLoss: number
  readonly trainAccuracy: number
  readonly testLoss: number
  readonly testAccuracy: number
  readonly seconds: number
  /** Of the examples: class names as they are shown, and `[channels, height, width]`. */
  readonly classes: readonly string[]
  readonly input: readonly [channels: number, height: number, width: number]
  /** `confusion[truth][prediction]`. */
  readonly confusion: readonly (readonly number[])[]
  /** The most confident mistakes first. */
  readonly mistakes: readonly Mistake[]
}

/** A model that the page holds: one in training, or one of a file. */
export interface ModelAbout {
  readonly name: string
  /** Undefined where the file does not say which architecture it is: then there is nothing to see inside it. */
  readonly model?: { readonly name: string; readonly config: object }
  readonly parameters: number
  /** As they are shown. */
  readonly classes: readonly string[]
  readonly input: readonly [channels: number, height: number, width: number]
  /** How a picture or a drawing becomes its input. */
  readonly preprocessing: Preprocessing
  readonly testAccuracy?: number
  readonly bytes?: number
}

/** A tensor on its way through the ViT, for the page to draw. */
export interface Stage {
  /** Such as `patches`, `embedding`, `blocks.0`, `norm`, `head`. */
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** What a model makes of one image. */
export interface Look {
  readonly logits: Float32Array
  readonly probabilities: Float32Array
  /** Time of the run, without messages. */
  readonly milliseconds: number
  /** What each block attends to: `[heads, T, T]`, T = patches + 1 with the CLS token first; for a ViT. */
  readonly attention?: readonly Stage[]
  /**
   * The way through the ViT: `patches [N, channels·p·p]`, `embedding [N, dim]`, `positions [N + 1, dim]`, `tokens [N + 1, dim]`
   * (embedded, with CLS and positions), `blocks.i [N + 1, dim]`, `norm [dim]` of what the head reads, `logits`; and
   * `answers [depth + 1, classes]`, the logits if the head read before the first block and after each.
   */
  readonly stages?: readonly Stage[]
}

/** Requests of the page; each is answered by a value or an error. */
export interface Requests {
  /** The devices of this browser, and onnxruntime-web's version. */
  devices: { args: []; value: { readonly runtime: string; readonly devices: readonly DeviceState[] } }
  /** Reads data ahead of a run; pictures are made as large as the model takes them. */
  data: { args: [choice: DataChoice, shape: ImageShape]; value: DataAbout }
  /** Reads an `.onnx` file that is to be fine-tuned. */
  base: { args: [name: string, bytes: Uint8Array]; value: BaseAbout }
  /** Says what a checkpoint file holds. */
  inspect: { args: [name: string, bytes: Uint8Array]; value: CheckpointAbout }
  /** Starts a run; ends when it is stopped or done. */
  train: { args: [settings: TrainSettings, data: DataChoice]; value: { stopped: boolean } }
  /** Resumes the run of a checkpoint; the result is the same as without the interruption. */
  resume: {
    args: [settings: ResumeSettings, data: DataChoice, checkpoint: Uint8Array]
    value: { stopped: boolean }
  }
  pause: { args: []; value: undefined }
  continue: { args: []; value: undefined }
  stop: { args: []; value: undefined }
  /** Opens an `.onnx` file, or a checkpoint (`.safetensors`); the model in training stays what `train` trains. */
  open: { args: [name: string, bytes: Uint8Array]; value: ModelAbout }
  /** Makes the file that was opened, or the model of the run, the current one. */
  use: { args: [which: 'file' | 'run']; value: ModelAbout }
  /** Runs one image `[channels, height, width]` through the current model; `deep` asks for attention and stages too. */
  look: { args: [pixels: Float32Array, deep: boolean]; value: Look }
  /** A held-out example of the data at hand (the bundled digits where none was chosen). */
  example: { args: [index: number]; value: { pixels: Float32Array; label: number; count: number } }
  /** Cosine similarity of the position embeddings, `[T, T]`; for a ViT. */
  positions: { args: []; value: Stage }
  /** The current model as an `.onnx` file. */
  onnx: { args: []; value: Uint8Array }
  /** The run's state, to be resumed here or by `onnxgrad train --resume`. */
  checkpoint: { args: []; value: Uint8Array }
}

/** Events that the worker sends on its own. */
export type Event =
  | { readonly event: 'model'; readonly about: ModelAbout; readonly which: 'file' | 'run' }
  | { readonly event: 'progress'; readonly progress: RunProgress; readonly points: readonly CurvePoint[] }
  | { readonly event: 'epoch'; readonly report: EpochReport }
  /** The run's state after an epoch, or where it was stopped. */
  | { readonly event: 'saved'; readonly bytes: Uint8Array; readonly about: CheckpointAbout }
