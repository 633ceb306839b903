import type { Rules } from './naming.ts'

/**
 * `ViTForImageClassification` and DeiT's classes of transformers, as files have their names (`vit.encoder.layer.0.attention…`), and
 * as version 5 has them in memory (`vit.layers.0.attention.q_proj`).
 */
export const HUGGING_FACE_VIT: Rules = [
  [/^(vit|deit)\./, ''],
  [/^embeddings\.position_embeddings$/, 'pos_embed'],
  [/^embeddings\.cls_token$/, 'cls_token'],
  [/^embeddings\.distillation_token$/, 'dist_token'],
  [/^embeddings\.patch_embeddings\.projection\./, 'patch_embed.proj.'],
  [/^(encoder\.layer|layers)\.(\d+)\./, 'blocks.$2.'],
  [/\.attention\.(attention\.query|q_proj)\.(weight|bias)$/, '.attn.qkv.$2[0]'],
  [/\.attention\.(attention\.key|k_proj)\.(weight|bias)$/, '.attn.qkv.$2[1]'],
  [/\.attention\.(attention\.value|v_proj)\.(weight|bias)$/, '.attn.qkv.$2[2]'],
  [/\.attention\.(output\.dense|o_proj)\./, '.attn.proj.'],
  [/\.intermediate\.dense\./, '.mlp.fc1.'],
  [/(\.\d+)\.output\.dense\./, '$1.mlp.fc2.'],
  [/\.layernorm_before\./, '.norm1.'],
  [/\.layernorm_after\./, '.norm2.'],
  [/^layernorm\./, 'norm.'],
  [/^(cls_)?classifier\./, 'head.'],
  [/^distillation_classifier\./, 'head_dist.'],
]

/** From 0 in the file, from 1 here. */
const counted = (before: string, to: string, after: string): Rules =>
  Array.from({ length: 8 }, (_, i) => [new RegExp(`${before}${i}${after}`), `${to}${i + 1}`] as const)

/** `ResNetForImageClassification` of transformers. */
export const HUGGING_FACE_RESNET: Rules = [
  [/^resnet\./, ''],
  [/^embedder\.embedder\.convolution\./, 'conv1.'],
  [/^embedder\.embedder\.normalization\./, 'bn1.'],
  ...counted('^encoder\\.stages\\.', 'layer', '(?=\\.)'),
  [/^(layer\d+)\.layers\./, '$1.'],
  [/\.shortcut\.convolution\./, '.downsample.0.'],
  [/\.shortcut\.normalization\./, '.downsample.1.'],
  ...counted('\\.layer\\.', '.conv', '\\.convolution(?=\\.)'),
  ...counted('\\.layer\\.', '.bn', '\\.normalization(?=\\.)'),
  [/^classifier\.1\./, 'fc.'],
]

/** torchvision's `VisionTransformer`; its older files name the MLP's layers `linear_1` and `linear_2`. */
export const TORCHVISION_VIT: Rules = [
  [/^class_token$/, 'cls_token'],
  [/^encoder\.pos_embedding$/, 'pos_embed'],
  [/^conv_proj\./, 'patch_embed.proj.'],
  [/^encoder\.layers\.encoder_layer_(\d+)\./, 'blocks.$1.'],
  [/\.ln_1\./, '.norm1.'],
  [/\.ln_2\./, '.norm2.'],
  [/\.self_attention\.in_proj_(weight|bias)$/, '.attn.qkv.$1'],
  [/\.self_attention\.out_proj\./, '.attn.proj.'],
  [/\.mlp\.(0|linear_1)\./, '.mlp.fc1.'],
  [/\.mlp\.(3|linear_2)\./, '.mlp.fc2.'],
  [/^encoder\.ln\./, 'norm.'],
  [/^heads\.(head|0)\./, 'head.'],
]
