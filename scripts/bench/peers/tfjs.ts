import type { ViTConfig } from '../../../models/vit-config.ts'
import type { SafeTensor } from '../../../src/export/safetensors.ts'
import { lookup, nth, present } from '../../../src/graph/present.ts'
import type { Start } from './start.ts'

/** What is used of TensorFlow.js, which is not installed with this package. */
export interface TensorFlow {
  readonly version: { readonly tfjs: string }
  readonly train: { adam(lr: number, beta1: number, beta2: number, epsilon: number): Optimizer }
  readonly losses: { softmaxCrossEntropy(oneHot: Tensor, logits: Tensor): Tensor }
  setBackend(name: string): Promise<boolean>
  enableProdMode(): void
  tensor(data: SafeTensor['data'], shape: readonly number[], dtype: string): Tensor
  variable(value: Tensor): Tensor
  oneHot(indices: Tensor, depth: number): Tensor
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor
  softmax(x: Tensor): Tensor
  erf(x: Tensor): Tensor
  concat(parts: readonly Tensor[], axis: number): Tensor
  split(x: Tensor, parts: number, axis: number): Tensor[]
  tile(x: Tensor, times: readonly number[]): Tensor
  moments(x: Tensor, axis: number, keepDims: boolean): { readonly mean: Tensor; readonly variance: Tensor }
  customGrad(f: (a: Tensor, b: Tensor, save: (tensors: Tensor[]) => void) => Differentiable): Binary
}
interface Tensor {
  readonly shape: number[]
  add(x: Tensor | number): Tensor
  sub(x: Tensor): Tensor
  mul(x: Tensor | number): Tensor
  rsqrt(): Tensor
  reshape(shape: readonly number[]): Tensor
  transpose(axes?: readonly number[]): Tensor
  slice(begin: readonly number[], size: readonly number[]): Tensor
  data(): Promise<Float32Array>
  dispose(): void
}
interface Optimizer {
  minimize(loss: () => Tensor, returnCost: true): Tensor
}
type Binary = (a: Tensor, b: Tensor) => Tensor
interface Differentiable {
  readonly value: Tensor
  readonly gradFunc: (dy: Tensor, saved: readonly Tensor[]) => Tensor[]
}

/** The ViT's training step in TensorFlow.js with the exact GELU: a function that takes a step and gives its loss. */
export function trainTfjs(
  tf: TensorFlow,
  config: ViTConfig,
  lr: number,
  start: Start,
): () => Promise<number> {
  const { image: size, channels, patch, dim, depth, heads, classes } = config
  const tensor = ({ data, shape, dtype }: SafeTensor): Tensor => tf.tensor(data, shape, dtype)
  const parameters = new Map(
    Object.entries(start.parameters).map(([name, value]) => [name, tf.variable(tensor(value))]),
  )
  const get = (name: string): Tensor => lookup(parameters, name)
  const image = tensor(start.input)
  const oneHot = tf.oneHot(tensor(start.label), classes)
  const batch = nth(image.shape, 0)
  const side = size / patch
  const tokens = side ** 2 + 1

  // The WASM backend multiplies fast only what is not transposed on the way: half the time of matMul's own gradient.
  const product = tf.customGrad((a, b, save) => {
    save([a, b])
    return {
      value: tf.matMul(a, b),
      gradFunc: (dy, [x, w]) => [
        tf.matMul(dy, present(w, 'w').transpose()),
        tf.matMul(present(x, 'x').transpose(), dy),
      ],
    }
  })
  const linear = (x: Tensor, name: string): Tensor => {
    const rows = x.shape.slice(0, -1)
    const weight = get(`${name}.weight`).reshape([-1, nth(x.shape, -1)])
    const y = product(x.reshape([-1, nth(x.shape, -1)]), weight.transpose()).add(get(`${name}.bias`))
    return y.reshape([...rows, nth(weight.shape, 0)])
  }
  const norm = (x: Tensor, name: string): Tensor => {
    const { mean, variance } = tf.moments(x, -1, true)
    const normal = x.sub(mean).mul(variance.add(1e-6).rsqrt())
    return normal.mul(get(`${name}.weight`)).add(get(`${name}.bias`))
  }
  const gelu = (x: Tensor): Tensor => x.mul(0.5).mul(tf.erf(x.mul(Math.SQRT1_2)).add(1))
  const attention = (x: Tensor, name: string): Tensor => {
    // Three transpositions of four dims: the WASM backend has no fast one of five.
    const [q, k, v] = tf
      .split(linear(x, `${name}.qkv`), 3, 2)
      .map(part => part.reshape([batch, tokens, heads, dim / heads]).transpose([0, 2, 1, 3]))
    const weights = tf.softmax(
      tf.matMul(present(q, 'q'), present(k, 'k'), false, true).mul((dim / heads) ** -0.5),
    )
    const seen = tf.matMul(weights, present(v, 'v')).transpose([0, 2, 1, 3]).reshape([batch, tokens, dim])
    return linear(seen, `${name}.proj`)
  }
  const forward = (): Tensor => {
    const patches = image
      .reshape([batch, channels, side, patch, side, patch])
      .transpose([0, 2, 4, 1, 3, 5])
      .reshape([batch, side ** 2, channels * patch ** 2])
    const cls = tf.tile(get('cls_token'), [batch, 1, 1])
    let x = tf.concat([cls, linear(patches, 'patch_embed.proj')], 1).add(get('pos_embed'))
    for (let i = 0; i < depth; i++) {
      const block = `blocks.${i}`
      x = x.add(attention(norm(x, `${block}.norm1`), `${block}.attn`))
      const hidden = gelu(linear(norm(x, `${block}.norm2`), `${block}.mlp.fc1`))
      x = x.add(linear(hidden, `${block}.mlp.fc2`))
    }
    const first = x.slice([0, 0, 0], [batch, 1, dim]).reshape([batch, dim])
    return linear(norm(first, 'norm'), 'head')
  }

  const optimizer = tf.train.adam(lr, 0.9, 0.999, 1e-8)
  return async () => {
    const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(oneHot, forward()), true)
    const [value] = await loss.data()
    loss.dispose()
    return present(value, 'loss')
  }
}
