import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import yargs, { type CommandModule } from 'yargs'
import { MODELS, mlp } from '../../models/index.ts'
import { inspectVerb } from '../../src/cli/inspect.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { initialize, layoutOf } from '../../src/nn/layout.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { printFor } from '../../src/terminal/output.ts'
import { fileOf, node, port, pytorchFile, weight } from '../ort/foreign.ts'
import { workFolder } from './program.ts'

const folder = await workFolder()
const own = join(folder, 'run', 'model.onnx')
const pytorch = join(folder, 'pytorch.onnx')
const unknown = join(folder, 'unknown.onnx')

beforeAll(async () => {
  const model = mlp(MODELS.mlp.presets.small)
  await mkdir(join(folder, 'run'))
  const bytes = exportOnnx({
    model: normalized(model, 'image', { mean: [0.1307], std: [0.3081] }),
    params: initialize(layoutOf(model.parameters), 1),
    classes: Array.from('0123456789'),
    training: { testAccuracy: 0.97125, epochs: 5 },
  })
  await writeFile(own, bytes)
  await writeFile(pytorch, pytorchFile('N'))
  const graph = {
    initializer: [weight('w', 3, 3)],
    input: [port('x', ['', 3])],
    output: [port('y', ['', 3])],
    node: [node('Sort', ['x', 'w'], 'e', '/fc/Sort'), node('Relu', ['e'], 'y', '/act/Relu')],
  }
  await writeFile(unknown, fileOf(graph))
})

/** Runs the verb in this process; the text for people, or the object for machines. */
async function inspect(...args: string[]): Promise<{ text: string; json: Record<string, unknown> }> {
  const json = args.includes('--json')
  let stdout = ''
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    stdout += text
    return true
  })
  const silent = vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
  printFor('inspect', json)
  try {
    await yargs(['inspect', ...args])
      .command({ ...inspectVerb, command: 'inspect <model>' } as unknown as CommandModule)
      .option('json', { type: 'boolean' })
      .exitProcess(false)
      .fail((message, error) => {
        throw error ?? new Error(message)
      })
      .parseAsync()
  } finally {
    printFor('inspect', false)
    spy.mockRestore()
    silent.mockRestore()
  }
  return { text: stdout.replaceAll(folder, '…'), json: json ? JSON.parse(stdout) : {} }
}

describe('inspect', () => {
  it('shows what a trained file holds', async () => {
    const { text } = await inspect(own, '--ops')
    expect(text.replace(/\d+\.\d kB/, '# kB').replace(/(onnxgrad) \S+/, '$1 #')).toMatchInlineSnapshot(`
      "…/run/model.onnx  # kB
      ONNX opset 17, IR version 8, written by onnxgrad #

              name    dtype    shape
      ──────  ──────  ───────  ──────────────────
      input   image   float32  [batch, 1, 28, 28]
      output  logits  float32  [batch, 10]

      model          mlp: image 28, channels 1, classes 10, hidden 128
      input          image: float32 [batch,1,28,28]; pixels in [0, 1]; normalization is inside the graph
      normalization  mean 0.1307, std 0.3081
      classes        0, 1, 2, 3, 4, 5, 6, 7, 8, 9
      training       test accuracy 97.13 %, epochs 5
      runs on        onnxruntime 1.12 and later

      layer       output        parameters     MACs
      ──────────  ────────────  ──────────  ───────
      mlp         [batch, 10]
        layers.0  [batch, 128]     100,480  100,352
        layers.1  [batch, 10]        1,290    1,280

      101,770 parameters (407.1 kB), 101,632 multiply–accumulates with batch = 1

      All 10 nodes import.

      operator   nodes  imports
      ─────────  ─────  ───────
      Add            2  yes
      MatMul         2  yes
      Transpose      2  yes
      Div            1  yes
      Relu           1  yes
      Reshape        1  yes
      Sub            1  yes
      "
    `)
  })

  it('takes a run folder for the model in it', async () => {
    expect((await inspect(join(folder, 'run'))).text).toBe((await inspect(own)).text)
  })

  it('shows a known model before any training, by preset', async () => {
    const { text } = await inspect('vit', '--preset', 'tiny16', '--depth', '0')
    expect(text).toContain('vit, preset tiny16, before any training')
    expect(text).toContain('5,717,416 parameters')
  })

  it('gives machines the same as one object', async () => {
    const { json } = await inspect(own, '--json', '--depth', '1')
    expect(json).toMatchObject({
      file: own,
      opset: 17,
      inputs: [{ name: 'image', dtype: 'float32', shape: ['batch', 1, 28, 28] }],
      outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 10] }],
      parameters: 101_770,
      macs: 784 * 128 + 128 * 10,
      layers: [
        { layer: '', output: ['batch', 10], parameters: 0, macs: 0 },
        { layer: 'layers.0', output: ['batch', 128], parameters: 100_480, macs: 784 * 128 },
        { layer: 'layers.1', output: ['batch', 10], parameters: 1290, macs: 1280 },
      ],
      metadata: {
        model: { name: 'mlp' },
        classes: Array.from('0123456789'),
        training: { testAccuracy: 0.97125, epochs: 5 },
      },
      operators: { MatMul: 2, Relu: 1 },
    })
  })

  it("shows the layers of another program's file", async () => {
    const { text } = await inspect(pytorch, '--graph')
    expect(text).toContain('written by pytorch 2.4.0')
    expect(text).toMatch(/^ {2}blocks\.0 +\[N, 5, 8\]$/m)
    expect(text).toMatch(/^ {4}fc +\[N, 5, 8\] +72 +320$/m)
    expect(text).toMatch(/^v\d+:f32\[N,5,8\] = Relu\(v\d+\)$/m)
    expect(text).toMatch(/^All 25 nodes import\.$/m)
  })

  it('lists a file with operators that it does not know, and says why there is no layer table', async () => {
    const { text } = await inspect(unknown, '--graph', '--ops')
    expect(text).toContain('input   x     float32  [?, 3]')
    expect(text).toContain('9 parameters (36 bytes)')
    expect(text.replaceAll('\n', ' ')).toContain(
      'No layer table: unknown.onnx: node /fc/Sort (Sort): operator Sort is not supported',
    )
    expect(text).toContain('e = Sort(x, w)  # /fc/Sort')
    expect(text).toContain('0 of 2 nodes import; 1 is not supported; 1 reads what those compute.')
    expect(text).toMatch(/^Sort +1 +no$/m)
    expect(text).toMatch(/^Relu +1 +not reached$/m)
    expect((await inspect(unknown, '--json')).json).toMatchObject({
      inputs: [{ shape: [null, 3] }],
      parameters: 9,
      macs: null,
      layers: null,
      operators: { Sort: 1, Relu: 1 },
      import: [
        {
          operator: 'Sort',
          nodes: 1,
          kind: 'refused',
          reason: 'node /fc/Sort (Sort): operator Sort is not supported',
        },
        { operator: 'Relu', nodes: 1, kind: 'unreached' },
      ],
    })
  })

  it('plans the memory of a training step, layer by layer', async () => {
    const { text } = await inspect('vit', '--depth', '1', '--train', '--batch', '32', '--optimizer', 'sgd')
    expect(text).toMatch(/^layer +output +parameters +MACs +saved kB$/m)
    expect(text).toMatch(/^ {2}blocks\.1 +\[batch, 17, 64\] +33,472 +594,048 +1,\d{3}$/m)
    expect(text).toMatch(/^step +batch 32, sgd$/m)
    expect(text).toMatch(/^computed +\d\.\d MB at once, \d\.\d MB of it saved by the layers$/m)
    // Parameters and the momentum, each twice: 4 · 4 · 139,018 bytes.
    expect(text).toMatch(/^state +2\.2 MB: parameters and 1 moment, before and after$/m)
  })

  it('counts the same bytes for machines, in the file of a run too', async () => {
    interface Answer {
      readonly layers: readonly { readonly layer: string; readonly savedBytes: number }[]
      readonly step: Readonly<Record<string, number>>
    }
    const read = async (...args: string[]) => (await inspect(...args, '--json')).json as unknown as Answer
    const { layers, step } = await read('vit', '--train', '--batch', '16')
    const { peakBytes, stateBytes, constantBytes, inputBytes, savedBytes, totalBytes } = step
    expect(stateBytes).toBe(2 * 3 * 4 * 139_018)
    expect(inputBytes).toBe(16 * (28 * 28 + 1) * 4)
    expect(totalBytes).toBe(peakBytes! + stateBytes! + constantBytes! + inputBytes!)
    expect(layers.reduce((n, l) => n + l.savedBytes, 0)).toBe(savedBytes)
    expect(savedBytes).toBeLessThan(peakBytes!)
    const again = await read('vit', '--train', '--batch', '16', '--recompute')
    expect(again.step.peakBytes).toBeLessThan(0.95 * peakBytes!)
    const flat = await read('vit', '--train', '--batch', '16', '--depth', '0')
    expect(flat.layers).toMatchObject([{ layer: '', savedBytes }])

    const run = await read(join(folder, 'run'), '--train')
    expect(run.step).toEqual((await read('mlp', '--train')).step)
    expect(run.step.stateBytes).toBe(2 * 3 * 4 * 101_770)
  })

  it('refuses what is no model in one line', async () => {
    const text = join(folder, 'notes.txt')
    const broken = join(folder, 'broken.onnx')
    await writeFile(text, 'no model')
    await writeFile(broken, pytorchFile('N').slice(0, 700))
    await mkdir(join(folder, 'empty'))
    const cases: [string[], RegExp][] = [
      [[text], /notes\.txt: is a text, not an ONNX file$/],
      [[broken], /broken\.onnx: not a valid ONNX file/],
      [[join(folder, 'nowhere.onnx')], /nowhere\.onnx does not exist$/],
      [[join(folder, 'empty')], /empty\/model\.onnx does not exist$/],
      [['vitt'], /^vitt does not exist, and no model has that name \(vit, .*mlp\)$/],
      [['vit', '--preset', 'huge'], /vit has no preset huge/],
      [[own, '--preset', 'small'], /--preset belongs to the name of a model/],
      [[own, '--depth', '1.5'], /--depth must be a whole number of at least 0, not 1\.5/],
      [[own, '--batch', '8'], /^--batch needs --train$/],
      [['vit', '--train', '--batch', '0'], /^--batch must be a whole number of at least 1, not 0$/],
      [[pytorch, '--train'], /pytorch\.onnx: only models that onnxgrad made can be trained/],
    ]
    for (const [args, message] of cases) {
      await expect(inspect(...args)).rejects.toThrow(message)
      await expect(inspect(...args)).rejects.toThrow(/^[^\n]+$/)
    }
  })
})
