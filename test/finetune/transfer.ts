import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { COLLECTIONS } from '../../src/data/collections.ts'
import { readOnnx } from '../../src/export/read.ts'
import { imageClassifier, replaceHead } from '../../src/finetune/index.ts'
import { parameterAttrs } from '../../src/graph/leaf.ts'
import { lookup } from '../../src/graph/present.ts'
import { restarted, withParameters } from '../../src/nn/edit.ts'
import type { Model } from '../../src/nn/model.ts'

/** Whether Fashion-MNIST is there: Debian's package has it where no download is possible. */
export const hasFashion = existsSync(COLLECTIONS['fashion-mnist'].idx.system ?? '')

/** A network that PyTorch trained on MNIST, as scripts/finetune-references.py wrote it. */
export function mnistFile(): Uint8Array {
  const path = fileURLToPath(new URL('./torch/mnist.onnx.gz', import.meta.url))
  return Uint8Array.from(gunzipSync(readFileSync(path)))
}

/** That network with a new head. */
export const mnistNetwork = (): Model =>
  replaceHead(imageClassifier(readOnnx(mnistFile(), 'mnist.onnx'), 'mnist.onnx').model, 10)

/** The same network with random weights, as PyTorch initializes it. */
export function anew(net: Model): Model {
  const fanIn = (name: string) =>
    parameterAttrs(lookup(net.parameters, name.replace('.bias', '.weight')))
      .shape.slice(1)
      .reduce((a, b) => a * b, 1)
  return withParameters(
    net,
    new Map(
      [...net.parameters].map(([name, p]) => [
        name,
        restarted(p, { kind: 'uniform', bound: 1 / Math.sqrt(fanIn(name)) }),
      ]),
    ),
  )
}
