import { expect, test } from 'vitest'
import { MODELS, vit } from '../../models/index.ts'
import { layerEnds } from '../../src/graph/layers.ts'
import { input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { layer } from '../../src/nn/layer.ts'
import { linear } from '../../src/nn/layers.ts'
import { namedParameters } from '../../src/nn/parts.ts'
import { inferenceForm } from '../../src/ops/mode.ts'

test("the ends of the ViT's layers follow one another from the image to the logits", () => {
  const graph = inferenceForm(vit({ ...MODELS.vit.presets.lecture, dropout: 0.1 }).graph)
  const ends = layerEnds(graph)
  expect(ends.get('patch_embed')).toEqual({
    inputs: [graph.inputs.image],
    output: expect.objectContaining({ shape: ['batch', 16, 64] }),
  })
  for (let i = 0; i < 4; i++) {
    const { inputs, output } = ends.get(`blocks.${i}`)!
    expect(inputs.map(t => t.shape)).toEqual([['batch', 17, 64]])
    expect(ends.get(i < 3 ? `blocks.${i + 1}` : 'norm')!.inputs).toEqual([output])
    // Both residual sums read what comes before their branch: the MLP's norm and the last sum read the first sum.
    expect(ends.get(`blocks.${i}.norm2`)!.inputs).not.toEqual(inputs)
    expect(ends.get(`blocks.${i}.attn`)!.inputs).toEqual([ends.get(`blocks.${i}.norm1`)!.output])
  }
  expect(ends.get('blocks')).toEqual({
    inputs: ends.get('blocks.0')!.inputs,
    output: ends.get('blocks.3')!.output,
  })
  expect(ends.get('head')!.output).toBe(graph.outputs.logits)
  expect(ends.has('')).toBe(false)
})

test('a layer that runs twice ends where it ends the second time; parameters are no inputs', () => {
  const x = input('x', 'float32', ['n', 8])
  const net = layer({ fc: linear(8, 8) }, (self, t: AnyTensor) => self.fc(self.fc(t)))
  namedParameters(net)
  const y = net(x)
  const ends = layerEnds({ inputs: { x }, parameters: {}, outputs: { y } })
  expect(ends.get('fc')).toEqual({ inputs: [x], output: y })
})
