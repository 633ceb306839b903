import type { Naming } from './naming.ts'

/** The CCT of its authors (SHI-Labs/Compact-Transformers, src/utils/transformers.py), whose `norm1` is the second of a block. */
export const AUTHORS_CCT: Naming = {
  rules: [
    [/^classifier\./, ''],
    [/^tokenizer\.conv_layers\.(\d+)\.0\./, 'tokenizer.conv_layers.$1.'],
    [/^(blocks\.\d+)\.norm1\./, '$1.norm2.'],
    [/^(blocks\.\d+)\.pre_norm\./, '$1.norm1.'],
    [/^(blocks\.\d+)\.self_attn\./, '$1.attn.'],
    [/^(blocks\.\d+)\.linear(\d)\./, '$1.mlp.fc$2.'],
  ],
  config: { residualNorm: true },
  refusal: ({ name, config }) =>
    name === 'cct' && !('residualNorm' in config && config.residualNorm)
      ? "cct: these are weights of the authors' code, whose blocks normalize the residual stream; build the model with residualNorm: true"
      : undefined,
}
