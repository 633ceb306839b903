import { choice, number, type Schema, share, text, toggle, whole } from '../settings/setting.ts'

const TUNING = { group: 'Fine-tuning', of: 'classifier' } as const

/** The settings of a run that starts from trained weights: those of an .onnx file, or of `weights`. */
export const FINETUNE_SETTINGS = {
  weights: text(
    'Start from these weights: .safetensors of timm, torchvision, transformers or onnxgrad, .onnx of onnxgrad, or a run folder',
    { ...TUNING, role: 'comparison', resume: 'any', common: true },
  ),
  freeze: text(
    'What is not trained: backbone (everything but the head), or names of parameters with * for any characters',
    { ...TUNING, common: true },
  ),
  freezeEpochs: number('Epochs in which only the head is trained (may be a fraction)', {
    ...TUNING,
    least: 0,
    usually: '1 for a new head; 0 with --lora, --layer-decay or --freeze, or for 1 epoch',
    common: true,
  }),
  backboneRate: number('Learning rate of everything but the head, as a fraction of --lr', {
    ...TUNING,
    above: 0,
    most: 1,
    usually: '0.1; 1 with --lora or --layer-decay',
    common: true,
  }),
  layerDecay: number(
    'Learning rates fall towards the input: each layer has that of the next times this, such as 0.75',
    { ...TUNING, above: 0, most: 1 },
  ),
  lora: whole('Train low-rank updates of the weights of this rank, and the head; the rest is frozen', {
    ...TUNING,
    common: true,
  }),
  loraAlpha: number('Updates of --lora are scaled by this divided by the rank', {
    ...TUNING,
    above: 0,
    usually: 'the rank',
  }),
  loraDropout: share('Fraction of their inputs that updates of --lora do not see in a training step', {
    ...TUNING,
    usually: '0',
  }),
  loraMatch: text('Weights that --lora updates: names with * for any characters, such as *.attn.*', {
    ...TUNING,
    usually: 'linear layers and convolutions, but for the head',
  }),
  loraTrain: text(
    'Further parameters that are trained with the updates of --lora: names with * for any characters, such as *norm*',
    { ...TUNING, usually: 'none but the head' },
  ),
  batchNorm: choice(
    'What batch norms use in training steps. evaluation: the running statistics that they came with; training: those of the batch',
    ['evaluation', 'training'],
    { ...TUNING, usually: 'evaluation' },
  ),
  headDropout: share("Fraction of the head's inputs that a training step sets to zero", {
    ...TUNING,
    usually: '0',
  }),
  normalize: choice(
    'Normalization of pixels in [0, 1] for an .onnx file that does not normalize them itself',
    ['imagenet', 'none'],
    { ...TUNING, usually: 'what files beside it say; else imagenet for 3 channels, none for 1' },
  ),
  cacheFeatures: toggle(
    'Compute what is frozen once and train the rest on the results: faster, the same but for rounding',
    { ...TUNING, usually: 'on with --freeze where it is possible' },
  ),
} as const satisfies Schema

/** Settings that decide the graph of a model and what of it is trained: a run has them among those of its model. */
export const GRAPH_SETTINGS = [
  ...(['freeze', 'lora', 'loraAlpha', 'loraDropout', 'loraMatch', 'loraTrain'] as const),
  ...(['batchNorm', 'headDropout', 'normalize'] as const),
] as const
