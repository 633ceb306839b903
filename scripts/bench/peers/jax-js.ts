import type { ViTConfig } from '../../../models/vit-config.ts'
import type { SafeTensor } from '../../../src/export/safetensors.ts'
import { lookup, nth, present } from '../../../src/graph/present.ts'
import type { Start } from './start.ts'

/** What is used of jax-js, which is not installed with this package. Each use of an array consumes it, `ref` keeps it. */
export interface Jax {
  readonly numpy: {
    readonly int32: unknown
    array(data: SafeTensor['data'] | number, options?: { shape?: readonly number[]; dtype?: unknown }): Arr
    matmul(a: Arr, b: Arr): Arr
    concatenate(parts: readonly Arr[], axis: number): Arr
    broadcastTo(x: Arr, shape: readonly number[]): Arr
    zerosLike(x: Arr): Arr
    square(x: Arr): Arr
    sqrt(x: Arr): Arr
  }
  readonly nn: {
    standardize(x: Arr, axis: number, options: { epsilon: number }): Arr
    gelu(x: Arr, options: { approximate: boolean }): Arr
    softmax(x: Arr, axis: number): Arr
    logSoftmax(x: Arr, axis: number): Arr
    oneHot(x: Arr, classes: number): Arr
  }
  readonly tree: { ref(tree: Tree): Tree }
  init(device: string): Promise<unknown>
  jit<F>(f: F): F
  valueAndGrad(f: (p: Tree, x: Arr, y: Arr) => Arr): (p: Tree, x: Arr, y: Arr) => [Arr, Tree]
}
interface Arr extends Iterable<Arr> {
  readonly ref: Arr
  readonly shape: number[]
  add(x: Arr | number): Arr
  sub(x: Arr): Arr
  mul(x: Arr | number): Arr
  div(x: Arr): Arr
  sum(): Arr
  reshape(shape: readonly number[]): Arr
  transpose(axes?: readonly number[]): Arr
  slice(...index: (number | [])[]): Arr
  data(): Promise<Float32Array>
  dispose(): void
}
type Tree = Record<string, Arr>

const BETA1 = 0.9
const BETA2 = 0.999

/** The ViT's training step in jax-js with the exact GELU, jitted whole: a function that takes a step and gives its loss. */
export function trainJax(jax: Jax, config: ViTConfig, lr: number, start: Start): () => Promise<number> {
  const { numpy: np, nn, tree, jit, valueAndGrad } = jax
  const { image: size, channels, patch, dim, depth, heads, classes } = config
  const array = ({ data, shape }: SafeTensor): Arr => np.array(data, { shape })
  const map = (t: Tree, f: (x: Arr, name: string) => Arr): Tree =>
    Object.fromEntries(Object.entries(t).map(([name, x]) => [name, f(x, name)]))
  const batch = nth(start.input.shape, 0)
  const side = size / patch
  const tokens = side ** 2 + 1

  const product = (x: Arr, weight: Arr, bias: Arr): Arr => np.matmul(x, weight.transpose()).add(bias)
  const linear = (p: Tree, x: Arr, name: string): Arr =>
    product(x, lookup(p, `${name}.weight`), lookup(p, `${name}.bias`))
  const norm = (p: Tree, x: Arr, name: string): Arr =>
    nn
      .standardize(x, -1, { epsilon: 1e-6 })
      .mul(lookup(p, `${name}.weight`))
      .add(lookup(p, `${name}.bias`))
  const attention = (p: Tree, x: Arr, name: string): Arr => {
    const parts = linear(p, x, `${name}.qkv`).reshape([batch, tokens, 3, heads, dim / heads])
    const [q, k, v] = parts.transpose([2, 0, 3, 1, 4])
    const scores = np
      .matmul(present(q, 'q'), present(k, 'k').transpose([0, 1, 3, 2]))
      .mul((dim / heads) ** -0.5)
    const seen = np.matmul(nn.softmax(scores, -1), present(v, 'v')).transpose([0, 2, 1, 3])
    return linear(p, seen.reshape([batch, tokens, dim]), `${name}.proj`)
  }
  const forward = (p: Tree, image: Arr): Arr => {
    const features = channels * patch ** 2
    const patches = image
      .reshape([batch, channels, side, patch, side, patch])
      .transpose([0, 2, 4, 1, 3, 5])
      .reshape([batch, side ** 2, features])
    const weight = lookup(p, 'patch_embed.proj.weight').reshape([dim, features])
    const embedded = product(patches, weight, lookup(p, 'patch_embed.proj.bias'))
    const cls = np.broadcastTo(lookup(p, 'cls_token'), [batch, 1, dim])
    let x = np.concatenate([cls, embedded], 1).add(lookup(p, 'pos_embed'))
    for (let i = 0; i < depth; i++) {
      const block = `blocks.${i}`
      x = x.ref.add(attention(p, norm(p, x, `${block}.norm1`), `${block}.attn`))
      const hidden = linear(p, norm(p, x.ref, `${block}.norm2`), `${block}.mlp.fc1`)
      x = x.add(linear(p, nn.gelu(hidden, { approximate: false }), `${block}.mlp.fc2`))
    }
    return linear(p, norm(p, x.slice([], 0), 'norm'), 'head')
  }
  const lossOf = (p: Tree, x: Arr, y: Arr): Arr =>
    nn
      .logSoftmax(forward(p, x), -1)
      .mul(y)
      .sum()
      .mul(-1 / batch)

  // p −= rate · m / (√(c · v) + ε), rate = lr / (1 − β₁ᵗ), c = 1 / (1 − β₂ᵗ)
  const step = jit((params: Tree, m: Tree, v: Tree, x: Arr, y: Arr, rate: Arr, c: Arr) => {
    const [loss, g] = valueAndGrad(lossOf)(tree.ref(params), x, y)
    const newM = map(m, (mean, name) => mean.mul(BETA1).add(lookup(g, name).ref.mul(1 - BETA1)))
    const newV = map(v, (mean, name) => mean.mul(BETA2).add(np.square(lookup(g, name)).mul(1 - BETA2)))
    const newParams = map(params, (p, name) => {
      const root = np.sqrt(lookup(newV, name).ref.mul(c.ref)).add(1e-8)
      return p.sub(lookup(newM, name).ref.mul(rate.ref).div(root))
    })
    rate.dispose()
    c.dispose()
    return { loss, params: newParams, m: newM, v: newV }
  })

  const image = array(start.input)
  const oneHot = nn.oneHot(np.array(start.label.data, { dtype: np.int32 }), classes)
  const params: Tree = Object.fromEntries(Object.entries(start.parameters).map(([n, t]) => [n, array(t)]))
  const zeros = (): Tree => map(params, x => np.zerosLike(x.ref))
  let state = { params, m: zeros(), v: zeros() }
  let t = 0
  return async () => {
    t++
    const rate = np.array(lr / (1 - BETA1 ** t))
    const c = np.array(1 / (1 - BETA2 ** t))
    const { loss, ...next } = step(state.params, state.m, state.v, image.ref, oneHot.ref, rate, c)
    state = next
    // One read computes all outputs of the function; waiting for each of them takes twice as long as the step.
    const [value] = await loss.data()
    return present(value, 'loss')
  }
}
