import { lower } from '../export/lower.ts'
import { OPSETS } from '../export/opsets.ts'
import { readOnnx } from '../export/read.ts'
import type { Attrs } from '../graph/attributes.ts'
import type { Graph, Tensors } from '../graph/graph.ts'
import type { Given, Names } from '../graph/names.ts'
import type { Op } from '../graph/node.ts'
import { sinceOf } from '../graph/op.ts'
import { zip } from '../graph/present.ts'
import { print } from '../graph/print.ts'
import type { Sample, SampleInput } from '../graph/sample.ts'
import { sameShape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { importOnnx } from '../import/import.ts'
import { operatorOf } from '../import/operators/index.ts'
import { slice } from '../ops/layout.ts'
import { decompose, isOwn } from '../passes/decompose.ts'
import { withDType } from '../passes/float64.ts'
import { type Evaluated, evaluate, graphOf } from '../runtime/evaluate.ts'
import type { Runtime } from '../runtime/session.ts'
import { type Case, casesOf, type Feeds } from './cases.ts'
import { compareGradients, opCases } from './gradients.ts'

/** Options of `checkOp`. */
export interface CheckOptions<A extends Attrs = Attrs, I extends Names = Names> {
  /** Where it runs. */
  readonly runtime: Runtime
  /** Inputs and attributes to test with. @default the op's own */
  readonly samples?: readonly Sample<NoInfer<A>, Given<NoInfer<I>, SampleInput>>[]
}

/** What was compared, one line each. */
export type Checked = readonly string[]

/** Largest difference of two computations of one float32 value, relative to the largest element (at least 1). */
const TOLERANCE = 2e-6

type Results = Readonly<Record<string, Evaluated>>

/**
 * Tests an op with its samples on a runtime: the inferred dtypes and shapes match those that the runtime computes; the gradient
 * rule agrees with central differences along random directions, in double precision where there are kernels for it; `decompose`,
 * `training` and `narrow` compute what the op does; `along` holds; a file that has the op is read as it was written.
 * @throws Error with a line for each fault
 */
export async function checkOp<A extends Attrs, I extends Names, O extends Names>(
  op: Op<A, I, O>,
  options: CheckOptions<A, I>,
): Promise<Checked>
export async function checkOp(op: Op, { runtime, samples }: CheckOptions): Promise<Checked> {
  const check = new Check(op, runtime, samples ?? op.samples ?? [])
  await check.run()
  if (check.faults.length)
    throw new Error(
      `${op.type}: ${check.faults.length} faults:\n${check.faults.map(f => `- ${f}`).join('\n')}`,
    )
  return check.done
}

class Check {
  readonly faults: string[] = []
  readonly done: string[] = []
  readonly #op: Op
  readonly #runtime: Runtime
  readonly #samples: readonly Sample[]
  readonly #feeds: Feeds = {}
  readonly #cases: readonly Case[]
  /** Outputs of all samples, by name. */
  readonly #outputs: Tensors

  constructor(op: Op, runtime: Runtime, samples: readonly Sample[]) {
    this.#op = op
    this.#runtime = runtime
    this.#samples = samples
    this.#cases = casesOf(op, 'float32', this.#feeds, samples)
    this.#outputs = named(this.#cases, c => c.apply(c.inputs).outputs)
  }

  async run(): Promise<void> {
    if (!this.#samples.length) {
      this.faults.push('has no samples; add some to its spec or pass them to checkOp')
      return
    }
    const own = isOwn(this.#op)
    let got: Results = {}
    await this.#at('types', async () => {
      got = await this.#evaluate(this.#outputs)
      this.#types(got)
    })
    if (!Object.keys(got).length) return
    for (const [form, rule] of Object.entries(this.#otherForms()))
      await this.#at(form, async () =>
        this.#compare(form, await this.#evaluate(named(this.#cases, c => rule(c.inputs, c.attrs))), got),
      )
    if (this.#op.decompose && !own) await this.#at('decompose', () => this.#decomposed(got))
    if (!own) await this.#at('float64', () => this.#double(got))
    if (!own && Object.values(this.#outputs).every(t => sinceOf(t.node) <= OPSETS.min))
      await this.#at(`opset ${OPSETS.min}`, () => this.#oldest(got))
    if (!own && !this.#op.random) await this.#at('export and import', () => this.#roundTrip(got))
    if (this.#op.along) await this.#at('along', () => this.#along())
    if (!('none' in this.#op.vjp))
      await this.#at('gradient', async () => {
        const found = await compareGradients(opCases(this.#op, this.#samples), this.#runtime)
        this.faults.push(...found.map(f => `gradient: ${f}`))
      })
  }

  /** An error in a rule is a fault like others. */
  async #at(what: string, body: () => Promise<unknown> | unknown): Promise<void> {
    try {
      const before = this.faults.length
      await body()
      if (this.faults.length === before) this.done.push(what)
    } catch (error) {
      this.faults.push(`${what}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #evaluate(outputs: Tensors, opset?: number): Promise<Results> {
    const least = Math.max(opset ?? 21, this.#op.since ?? 0)
    return evaluate(this.#runtime, outputs, this.#feeds, {}, least)
  }

  #types(got: Results): void {
    for (const [name, t] of Object.entries(this.#outputs)) {
      const found = got[name]
      // A size that is not known may be any.
      if (found?.dtype !== t.dtype || !sameShape(t.shape, found.dims))
        this.faults.push(
          `${name}: inferred ${t.dtype} ${show(t.shape)}, computed ${found?.dtype} [${found?.dims.join()}]`,
        )
    }
  }

  /** Other forms of the op that are graphs themselves. */
  #otherForms(): Readonly<Record<string, (x: Case['inputs'], attrs: Attrs) => readonly AnyTensor[]>> {
    const { training, narrow, resolve } = this.#op
    return {
      ...(training ? { training } : {}),
      ...(narrow ? { narrow: (x, attrs) => narrow(x, attrs, 2) } : {}),
      ...(resolve ? { resolve } : {}),
    }
  }

  async #decomposed(want: Results): Promise<void> {
    const { target } = this.#runtime.device
    const lacks = (type: string) => type === this.#op.type
    const plain = decompose(graphOf(this.#outputs), { ...target, lacks })
    this.#compare('decompose', await this.#evaluate(plain.outputs), want)
  }

  /** In double precision, where there are kernels for it. */
  async #double(want: Results): Promise<void> {
    const wide = withDType(graphOf(this.#outputs), 'float32', 'float64').outputs
    const got = await this.#evaluate(wide).catch(() => undefined)
    if (got) this.#compare('float64', got, want)
  }

  async #oldest(want: Results): Promise<void> {
    this.#compare(`opset ${OPSETS.min}`, await this.#evaluate(this.#outputs, OPSETS.min), want)
  }

  async #roundTrip(want: Results): Promise<void> {
    const write = (graph: Graph) => lower(graph, { name: 'op', opset: Math.max(21, this.#op.since ?? 0) })
    const graph = graphOf(this.#outputs)
    const bytes = write(graph)
    const again = importOnnx(readOnnx(bytes, 'exported.onnx'), 'exported.onnx').graph
    // An operator that is read as others computes the same.
    if (operatorOf(this.#op.type, this.#op.domain ?? ''))
      this.#compare('read from a file', await this.#evaluate(again.outputs), want)
    else if (write(again).join() !== bytes.join())
      this.faults.push(`export and import: writes\n${print(graph)}\nand reads\n${print(again)}`)
  }

  /** A slice of each output, and the op on slices of the inputs that it says run along. */
  async #along(): Promise<void> {
    const [whole, part]: [Record<string, AnyTensor>, Record<string, AnyTensor>] = [{}, {}]
    for (const c of this.#cases) {
      const outputs: readonly AnyTensor[] = c.apply(c.inputs).outputs
      for (const [axis, size] of outputs[0]?.shape.entries() ?? []) {
        const along = this.#op.along?.(axis, c.inputs, c.attrs)
        if (!along || typeof size !== 'number' || size < 2) continue
        const cut = (t: AnyTensor, at: number | null | undefined) =>
          typeof at === 'number' ? slice(t, at, 1, size) : t
        const parts = c.apply(c.inputs.map((t, i) => cut(t, along[i]))).outputs
        for (const [k, [y, cut]] of zip(outputs, parts).entries()) {
          whole[`${c.name}/axis ${axis}/y${k}`] = slice(y, axis, 1, size)
          part[`${c.name}/axis ${axis}/y${k}`] = cut
        }
      }
    }
    if (Object.keys(whole).length)
      this.#compare('along', await this.#evaluate(part), await this.#evaluate(whole))
  }

  /** Dims and values of other computations of the same outputs; dtypes may differ in precision. */
  #compare(what: string, got: Results, want: Results): void {
    for (const [name, { dims, data }] of Object.entries(want)) {
      const other = got[name]
      if (other?.dims.join() !== dims.join()) {
        this.faults.push(
          `${what}: ${name} is [${other?.dims.join()}], but the op itself gives [${dims.join()}]`,
        )
        continue
      }
      const values = Array.from(data, Number)
      const scale = Math.max(1, ...values.filter(Number.isFinite).map(Math.abs))
      const apart = Array.from(other.data, Number).map(
        (v, i) => difference(v, values[i] ?? Number.NaN) / scale,
      )
      const worst = Math.max(0, ...apart)
      if (!(worst <= TOLERANCE))
        this.faults.push(`${what}: ${name} differs by ${worst.toExponential(1)} from the op itself`)
    }
  }
}

const difference = (a: number, b: number): number => (Object.is(a, b) || a === b ? 0 : Math.abs(a - b))

/** Tensors of all cases by name, float ones and others. */
const named = (cases: readonly Case[], outputs: (c: Case) => readonly AnyTensor[]): Tensors =>
  Object.fromEntries(cases.flatMap(c => outputs(c).map((t, k) => [`${c.name}/y${k}`, t])))
