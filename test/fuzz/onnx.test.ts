import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { buildModel } from '../../models/index.ts'
import { decode, encode } from '../../src/export/codec.ts'
import { lower } from '../../src/export/lower.ts'
import { Model } from '../../src/export/onnx-proto.ts'
import { readOnnx, readWeights } from '../../src/export/read.ts'
import { DATA_TYPE } from '../../src/export/tensor-data.ts'
import { UserError } from '../../src/graph/errors.ts'
import { allOps } from '../../src/graph/op.ts'
import { summarize } from '../../src/graph/summary.ts'
import { importOnnx } from '../../src/import/import.ts'
import { OPERATORS } from '../../src/import/operators/index.ts'
import { fileSubject } from '../../src/report/subject.ts'
import { graphOf } from '../../src/runtime/evaluate.ts'
import { inputPorts } from '../../src/train/predictor.ts'
import { fileOfSample, type NodeSample, type NodeSamples } from '../import/sample.ts'
import { allCases } from '../ort/samples.ts'
import { corpus, expectPlain, fuzz, outcome } from './fuzz.ts'
import { field } from './make-onnx.ts'
import { mutate, mutateTree, pick } from './mutate.ts'

const files = corpus('onnx')

/** A file for each sample of an operator; every second one states the types of its outputs, so that nodes can be kept. */
async function operatorFiles(): Promise<Uint8Array[]> {
  const samples: (readonly [string, NodeSample])[] = []
  for (const file of readdirSync('test/import/samples').sort()) {
    const module: { samples: NodeSamples } = await import(`../import/samples/${file.replace('.ts', '')}.ts`)
    for (const [type, all] of Object.entries(module.samples))
      samples.push(...all.map(sample => [type, sample] as const))
  }
  return samples.map(([type, sample], i) => {
    const bytes = fileOfSample(type, sample)
    return i % 2 ? stated(bytes) : bytes
  })
}

/** The file with the types of its outputs. */
function stated(bytes: Uint8Array): Uint8Array {
  const tree = decode(Model, bytes, 'x')
  const { outputs } = importOnnx(readOnnx(bytes, 'x.onnx'), 'x.onnx').graph
  for (const port of tree.graph?.output ?? []) {
    const t = outputs[port.name ?? '']
    if (!t) continue
    const dim = t.shape.map(d => (typeof d === 'number' ? { dimValue: d } : { dimParam: d }))
    port.type = { tensorType: { elemType: DATA_TYPE[t.dtype], shape: { dim } } }
  }
  return encode(Model, tree)
}

/** A part of a parser that may refuse what others take. */
const attempt = (body: () => unknown): void => {
  try {
    body()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expectPlain(error.message)
  }
}

/** Everything that programs do with a file before they run it. */
function parse(bytes: Uint8Array): void {
  const info = readOnnx(bytes, 'x.onnx')
  attempt(() => inputPorts(info, 'x.onnx'))
  attempt(() => readWeights(info))
  const shown = fileSubject('x.onnx', info, buildModel)
  for (const line of [shown.name, ...shown.heading, ...shown.about.flat()])
    expect(line).not.toMatch(/\p{Cc}/u)
  expect(shown.listing()).toMatch(/^[^\p{Cc}]*$/mu)
  const { graph, weights } = importOnnx(info, 'x.onnx')
  summarize(graph)
  attempt(() => lower(graph, { name: 'again', opset: 21, weights: name => weights.get(name)!.data }))
}

describe('an .onnx file', () => {
  test('of the corpus is read, or refused in one line', async () => {
    const said = []
    for (const [name, bytes] of files) said.push(`${name} ⇒ ${await outcome(() => parse(bytes))}`)
    expect(said.join('\n')).toMatchInlineSnapshot(`
      "attention-of-a-billion-tokens ⇒ x.onnx: node n (Attention): has the shape [1,1,1073741824,1073741824], which no tensor can have
      axes-5000 ⇒ x.onnx: node u (Unsqueeze): axes has 10000 values; at most 1024 are allowed
      axis-far-below-zero ⇒ x.onnx: node a (Add): axis -1125899906842624 does not leave room for the 2 dims of input 1
      block-of-size-zero ⇒ x.onnx: node n (DepthToSpace): depthToSpace: blocksize must be 1 to 1048576
      branches-in-branches ⇒ x.onnx: not a valid ONNX file (messages are nested more than 64 levels deep)
      centre-of-too-few-axes ⇒ x.onnx: node n (CenterCropPad): has 1 sizes for 2 axes of [2,3]
      chain-of-1000 ⇒ read
      choices-in-choices ⇒ read
      cycle ⇒ x.onnx: node number 0 (Add): needs b, which only a later node computes (a cycle, or nodes out of order)
      dims-1000 ⇒ x.onnx: initializer w: has 1000 axes; a tensor has at most 64
      dims-huge ⇒ x.onnx: input x: has the shape [1099511627776,1099511627776], which no tensor can have
      dims-negative ⇒ x.onnx: initializer w: has a dim of -2: the file is damaged
      dims-overflow-to-zero ⇒ x.onnx: node number 0 (Add): add: dims 3 and 0 of [2,3] and [4294967296,4294967296,0] do not broadcast
      empty ⇒ x.onnx: not an ONNX file (it holds no graph)
      end-of-no-group ⇒ x.onnx: not a valid ONNX file (ModelProto has an unknown field, 9)
      fill-of-a-terabyte ⇒ read
      floats-as-integers ⇒ x.onnx: initializer w: has 0 elements, but its dims [1] need 1: the file is damaged
      functions-of-many-nodes ⇒ x.onnx: node number 3 (f0): loops and functions that add more than 8216 nodes to the file are not supported
      functions-that-fail ⇒ x.onnx: node number 0 (Relu): needs nothing, which nothing in the file computes
      good-mlp ⇒ read
      good-pytorch ⇒ read
      good-vit ⇒ read
      graph-twice ⇒ x.onnx: not a valid ONNX file (field graph occurs twice)
      grid-of-1000-axes ⇒ read
      grid-of-60-axes ⇒ read
      grid-of-a-billion ⇒ read
      group ⇒ x.onnx: not a valid ONNX file (ModelProto has an unknown field, 17738)
      groups-in-groups ⇒ x.onnx: is a text, not an ONNX file
      groups-zero ⇒ x.onnx: node c (Conv): conv2d: 2 channels of [1,2,4,4] do not fit the weight [2,1,2,2] in 0 groups
      heads-of-a-matrix ⇒ x.onnx: node n (MultiHeadAttention): keys or values of [2,3] must have 4 dims
      heads-zero ⇒ x.onnx: node n (Attention): the last dim of [1,2,6] does not split into 0 heads
      input-of-1000-dims ⇒ x.onnx: input x: has 1000 axes; a tensor has at most 64
      input-twice ⇒ x.onnx: input x: x is defined twice; the file is damaged
      inputs-3000 ⇒ x.onnx: node number 0 (Max): has 3000 inputs or outputs; at most 1024 are allowed
      known-of-64-axes ⇒ read
      known-split-into-a-billion ⇒ x.onnx: node s (Split): num_outputs is 1000000000, but the node has 1 outputs
      known-without-end ⇒ read
      length-below-zero ⇒ x.onnx: not a valid ONNX file (a field is longer than the message that contains it)
      length-past-the-end ⇒ x.onnx: not a valid ONNX file (a field is longer than the message that contains it)
      letters-a-thousand ⇒ read
      list-ends-in-an-element ⇒ x.onnx: not a valid ONNX file (the list dims ends inside an element)
      lists-joined-without-end ⇒ read
      loop-of-no-inputs ⇒ x.onnx: node number 0 (Loop): its body has too few inputs; the file is damaged
      loop-that-doubles ⇒ x.onnx: node number 0 (Concat): has the shape [4503599627370496,3], which no tensor can have
      loops-without-nodes ⇒ x.onnx: node number 0 (Loop): loops and functions that add more than 8199 nodes to the file are not supported
      messages-in-messages ⇒ x.onnx: is a text, not an ONNX file
      metadata-classes-a-number ⇒ x.onnx: its metadata onnxgrad.classes is damaged: 5
      metadata-control-characters ⇒ read
      metadata-deep ⇒ read
      metadata-model-a-list ⇒ x.onnx: its metadata onnxgrad.model is damaged: []
      metadata-model-null ⇒ x.onnx: its metadata onnxgrad.model is damaged: {"name":"vit","config":null}
      metadata-no-json ⇒ x.onnx: its metadata onnxgrad.training is damaged: {
      metadata-normalization-text ⇒ x.onnx: its metadata onnxgrad.normalization is damaged: {"mean":"0.5","std":[1]}
      metadata-own-proto ⇒ read
      metadata-proto ⇒ read
      metadata-training-null ⇒ x.onnx: its metadata onnxgrad.training is damaged: null
      name-constructor ⇒ read
      name-control-characters ⇒ read
      name-of-1000-characters ⇒ read
      name-proto ⇒ read
      name-to-string ⇒ read
      name-twice ⇒ x.onnx: node number 1 (Relu): y is defined twice; the file is damaged
      neighbours-a-billion ⇒ x.onnx: node n (LRN): responseNorm: size must be odd, at least 1 and at most 1023, not 1000000001
      no-graph ⇒ x.onnx: not an ONNX file (it holds no graph)
      no-names ⇒ x.onnx: initializer : has element type undefined, which is not supported
      no-outputs ⇒ x.onnx: the graph has no outputs; the file is damaged
      node-reads-itself ⇒ x.onnx: node number 0 (Add): needs y, which only a later node computes (a cycle, or nodes out of order)
      not-a-number-as-integer ⇒ x.onnx: initializer w: has 0 elements, but its dims [1] need 1: the file is damaged
      outside-absolute ⇒ x.onnx: initializer w: is stored in another file, /etc/hostname, which is not a file name in the model's folder; such files are not read
      outside-beside ⇒ x.onnx: initializer w: is stored in another file, weights.bin; give --external-data (readOnnx: external) to read that file from the model's folder
      outside-parent ⇒ x.onnx: initializer w: is stored in another file, ../../secret.bin, which is not a file name in the model's folder; such files are not read
      outside-without-location ⇒ x.onnx: initializer w: is stored outside the file, but the file does not say where: it is damaged
      path-of-200-layers ⇒ read
      raw-data-long ⇒ x.onnx: initializer w: has 6 elements, but its dims [1,3] need 3: the file is damaged
      raw-data-short ⇒ x.onnx: initializer w: has 6 elements, but its dims [2,4] need 8: the file is damaged
      scan-of-a-billion ⇒ x.onnx: node s (Scan): num_scan_inputs is 1000000000, but its body has 1 inputs and 1 outputs; the file is damaged
      shape-of-negative-length ⇒ x.onnx: node c (ConstantOfShape): expand: dim -5 of [-5] is not a size
      size-doubles-at-each-node ⇒ x.onnx: node number 7 (Concat): has a size whose formula is longer than 256 characters
      slice-without-starts ⇒ x.onnx: node s (Slice): slice: 0 starts, 1 ends and 0 steps do not fit 1 axes
      split-into-a-billion ⇒ x.onnx: node s (Split): num_outputs is 1000000000, but the node has 1 outputs
      stride-zero ⇒ x.onnx: node c (Conv): strides is [0,0]; for [1,1,4,4] it must be 2 whole numbers of at least 1
      truncated ⇒ x.onnx: not a valid ONNX file (a field is longer than the message that contains it)
      type-unknown ⇒ x.onnx: initializer w: has element type 99, which is not supported
      varint-too-long ⇒ x.onnx: not a valid ONNX file (a number is longer than ten bytes)
      window-of-a-billion ⇒ read"
    `)
  })

  test('with changed bytes is read or refused, never worse', async () => {
    const read = await fuzz('onnx bytes', 1200, random => mutate(files, random), parse)
    expect(read).toBeGreaterThan(50)
  })

  test('with changed numbers, names and lists is read or refused, never worse', async () => {
    const models = [...files].flatMap(([name, bytes]) => (name.startsWith('good') ? [bytes] : []))
    const ops = allCases('float32', {}).map(c => {
      const outputs = c.apply(c.inputs).outputs.map((t, i) => [`y${i}`, t] as const)
      return lower(graphOf(Object.fromEntries(outputs)), { name: c.name, opset: 21 })
    })
    const operators = await operatorFiles()
    const others = ['Shape', 'Size', 'Loop', 'Scan', 'If']
    const imported = Object.values(OPERATORS).flatMap(own => Object.keys(own))
    const types = [...new Set([...allOps().map(op => op.type), ...imported, ...others])]
    const read = await fuzz(
      'onnx trees',
      1200,
      random => {
        const tree = decode(Model, pick(pick([operators, operators, ops, models], random), random), 'x')
        const names = tree.graph?.node?.flatMap(n => [...(n.input ?? []), ...(n.output ?? [])]) ?? []
        mutateTree(tree, random, [...types, ...names])
        return encode(Model, tree)
      },
      parse,
    )
    expect(read).toBeGreaterThan(300)
  })
})

test('a file of millions of empty messages is refused before they fill the memory', async () => {
  const nodes = new Uint8Array(6_000_000).map((_, i) => (i % 2 ? 0 : (1 << 3) | 2))
  const bytes = Buffer.concat([Uint8Array.of(8, 8), field(7, nodes)])
  expect(() => readOnnx(bytes, 'x.onnx')).toThrow(
    /x\.onnx: not a valid ONNX file \(it has more than \d+ pieces\)/,
  )
})
