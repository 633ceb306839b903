import type { Verb } from './verb.ts'

interface Entry {
  readonly command: string
  readonly describe: string
  /** Loads its file, with all that it needs: only when the verb runs, or prints its own help. */
  readonly load: () => Promise<Verb>
}

/** Every verb, in the order in which --help lists them. */
export const VERBS: readonly Entry[] = [
  {
    command: 'train [model]',
    describe: 'Train a model; writes a run folder with checkpoints, metrics, a report and model.onnx',
    load: async () => (await import('./train.ts')).trainVerb,
  },
  {
    command: 'tune [model]',
    describe: 'Search for settings: random search or successive halving over a declared space',
    load: async () => (await import('./tune.ts')).tuneVerb,
  },
  {
    command: 'eval <model>',
    describe: 'Accuracy and confusion matrix of an exported model',
    load: async () => (await import('./eval.ts')).evalVerb,
  },
  {
    command: 'export <run>',
    describe: 'Write the model of a run as .onnx, also in float16 or int8',
    load: async () => (await import('./export.ts')).exportVerb,
  },
  {
    command: 'verify <model>',
    describe: 'Prove an exported file on several runtimes: size, accuracy and speed against its reference',
    load: async () => (await import('./verify.ts')).verifyVerb,
  },
  {
    command: 'inspect <model>',
    describe: 'Show what a model is made of: layers, shapes, parameters, MACs, metadata',
    load: async () => (await import('./inspect.ts')).inspectVerb,
  },
  {
    command: 'predict <model> [images..]',
    describe: "Classify pictures, prepared as the model's training images were",
    load: async () => (await import('./predict.ts')).predictVerb,
  },
  {
    command: 'report <run>',
    describe: 'Write the report of a run: curves, confusion matrix, worst mistakes, attention',
    load: async () => (await import('./report.ts')).reportVerb,
  },
  {
    command: 'compare <runs..>',
    describe: 'Compare runs: figures, the settings in which they differ, curves on one page',
    load: async () => (await import('./compare.ts')).compareVerb,
  },
  {
    command: 'sample <model>',
    describe: 'Generate text with a character model',
    load: async () => (await import('./sample.ts')).sampleVerb,
  },
  {
    command: 'serve [run]',
    describe: 'Open the lab: train, inspect and try models in the browser',
    load: async () => (await import('./serve.ts')).serveVerb,
  },
  {
    command: 'doctor',
    describe: 'Show what works on this machine and how to get the rest; fails if no device can train',
    load: async () => (await import('./doctor.ts')).doctorVerb,
  },
]
