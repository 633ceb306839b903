import type { Argv } from 'yargs'
import { buildModel, MODELS } from '../../models/index.ts'
import { UserError } from '../graph/errors.ts'
import { summarize } from '../graph/summary.ts'
import { OPTIMIZERS } from '../optim/optimizer.ts'
import { type Importable, importableText } from '../report/importable.ts'
import { fileSubject, modelSubject, type Subject } from '../report/subject.ts'
import { resolveConfig } from '../runs/known-node.ts'
import { loadModelFile } from '../runs/model-file-node.ts'
import { whole } from '../settings/setting.ts'
import { dimRecord, layers, macsOf, portRecord, ports, totals } from '../terminal/model-text.ts'
import { result, say, sayLines, table } from '../terminal/output.ts'
import { stepRecord, stepText } from '../terminal/step-text.ts'
import { columns, facts, wrap } from '../terminal/text.ts'
import { type StepSettings, savedIn, stepMemory } from '../train/step-memory.ts'
import { numberOption } from './numbers.ts'
import { externalDataOption } from './options.ts'
import type { Verb } from './verb.ts'

const names = Object.keys(MODELS).join(', ')

const builder = (yargs: Argv) =>
  yargs
    .positional('model', {
      type: 'string',
      demandOption: true,
      describe: `.onnx file, run folder, or name of a model (${names})`,
    })
    .option('preset', { type: 'string', describe: 'Preset of a named model [default: the first]' })
    .option(
      'depth',
      numberOption(
        'depth',
        whole('Levels of layers in the table; deeper layers are counted in their parent', {
          ...{ least: 0, default: 2, group: 'Output', common: true },
        }),
      ),
    )
    .option('ops', { type: 'boolean', default: false, describe: 'Count the operators' })
    .option('graph', { type: 'boolean', default: false, describe: 'Print every node, one per line' })
    .option('external-data', externalDataOption)
    .option('train', {
      type: 'boolean',
      default: false,
      describe:
        'Plan the memory of a training step on the CPU, and what each layer saves for the backward pass',
      group: 'Training step:',
    })
    .option(
      'batch',
      numberOption('batch', whole('Images of a step', { usually: '64', group: 'Training step' })),
    )
    .option('optimizer', {
      choices: Object.keys(OPTIMIZERS),
      describe: 'Update rule [default: adam]',
      group: 'Training step:',
    })
    .option('recompute', {
      type: 'boolean',
      describe: 'Plan it with cheap activations recomputed, as train --recompute does',
      group: 'Training step:',
    })
    .example('$0 inspect runs/vit-lecture', 'layers, shapes, parameters, MACs of the trained model')
    .example('$0 inspect vit --preset base16 --depth 1', 'the same before any training')
    .example('$0 inspect vit --preset tiny16 --train --batch 8', 'the memory that training needs')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const inspectVerb: Verb<Flags> = {
  builder,
  async handler(flags) {
    const { model, preset, depth, ops, graph } = flags
    const asked = stepFlags(flags)
    const subject = await subjectOf(model, preset, flags.externalData)
    const rows = subject.graph && summarize(subject.graph, { depth })
    const step = asked && stepMemory(subject.model(), asked)
    const saved = step && rows && savedIn(rows, step)
    const operators = counted(subject.operators)
    const { importable } = subject

    for (const line of subject.heading) say(line)
    sayLines(`\n${ports(subject)}`)
    if (subject.about.length) sayLines(`\n${facts(subject.about, columns())}`)
    if (rows) sayLines(`\n${layers(rows, subject.name, saved)}`)
    say(`\n${totals(subject, rows)}`)
    if (step) sayLines(`\n${stepText(step)}`)
    if (subject.reason) sayLines(wrap(`No layer table: ${subject.reason}`, columns()).join('\n'))
    if (importable) sayLines(`\n${importableLines(importable, ops)}`)
    else if (ops) sayLines(`\n${table(['operator', 'nodes'], operators)}`)
    if (graph) sayLines(`\n${subject.listing()}`)

    result({
      ...subject.record,
      inputs: subject.inputs.map(portRecord),
      outputs: subject.outputs.map(portRecord),
      parameters: subject.parameters,
      macs: rows ? macsOf(rows) : null,
      layers:
        rows?.map(({ layer, output, parameters, macs }, i) => ({
          layer,
          output: output.map(dimRecord),
          parameters,
          macs,
          ...(saved ? { savedBytes: saved[i] } : {}),
        })) ?? null,
      ...(step ? { step: stepRecord(step) } : {}),
      ...(subject.reason ? { reason: subject.reason } : {}),
      operators: Object.fromEntries(operators),
      ...(importable ? { import: importable } : {}),
      ...(graph ? { graph: subject.listing() } : {}),
    })
  },
}

/** The step that flags ask for. @throws UserError for flags of a step without --train */
function stepFlags(flags: Partial<StepSettings> & { readonly train: boolean }): StepSettings | undefined {
  const { train, batch = 64, optimizer = 'adam', recompute = false } = flags
  const stray = (['batch', 'optimizer', 'recompute'] as const).find(key => flags[key] !== undefined)
  if (!train && stray) throw new UserError(`--${stray} needs --train`)
  return train ? { batch, optimizer, recompute } : undefined
}

/** A known name is the model; a file or folder of that name is meant by `./vit`. */
async function subjectOf(model: string, preset: string | undefined, externalData: boolean): Promise<Subject> {
  if (Object.hasOwn(MODELS, model)) {
    const chosen = resolveConfig(model, preset, {})
    return modelSubject(buildModel(model, chosen.config), chosen.preset, chosen.config)
  }
  if (preset !== undefined) throw new UserError(`--preset belongs to the name of a model: ${names}`)
  try {
    const { path, info } = await loadModelFile(model, { externalData: externalData || 'leave' })
    return fileSubject(path, info, buildModel)
  } catch (error) {
    const plain = /^\w+$/.test(model) && error instanceof UserError && error.message.startsWith(`${model} `)
    throw plain ? new UserError(`${error.message}, and no model has that name (${names})`) : error
  }
}

/** What of a file imports and, of what does not, why; with `all`, every operator. */
function importableLines(uses: Importable, all: boolean): string {
  const shown = all ? uses : uses.filter(use => use.kind !== 'imported')
  const text = wrap(importableText(uses), columns()).join('\n')
  if (!shown.length) return text
  const rows = shown.map(({ operator, nodes, kind }) => [operator, nodes, SHOWN[kind]])
  const reasons = new Set(shown.flatMap(({ reason }) => (reason === undefined ? [] : [reason])))
  return [text, '', table(['operator', 'nodes', 'imports'], rows), ...wrapped(reasons)].join('\n')
}

const wrapped = (texts: Iterable<string>): string[] => {
  const lines = [...texts].flatMap(text => wrap(text, columns()))
  return lines.length ? ['', ...lines] : []
}

const SHOWN = {
  imported: 'yes',
  kept: 'kept, no gradient',
  refused: 'no',
  unreached: 'not reached',
} as const

/** How often each occurs, the most frequent first. */
function counted(types: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const type of types) counts.set(type, (counts.get(type) ?? 0) + 1)
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
}
