import type { Dataset, ImageDataset } from '../data/dataset.ts'
import type {
  Agreement,
  ClassCount,
  Disagreement,
  FileFacts,
  Proof,
  RuntimeProof,
  Timing,
} from '../deploy/proof/proof.ts'
import { differenceText } from '../deploy/proof/verdict.ts'
import { nth } from '../graph/present.ts'
import { shownName } from '../graph/printable.ts'
import { imageAt } from './answers.ts'
import { type Html, html, named } from './html.ts'
import { page, type Section } from './page.ts'
import { photo } from './picture-node.ts'
import { scroll } from './tables.ts'
import { count, counted, percent } from './text.ts'
import { byteSize } from './words.ts'

type Name = (label: number) => string

const NONE = '–'
const points = (n: number): string => (Math.abs(n) < 0.005 ? '0.00' : n.toFixed(2).replace('-', '−'))
const small = (n: number): string => (Number.isNaN(n) ? 'not a number' : differenceText(n).replace('-', '−'))
const ms = (n: number): string => n.toFixed(n < 1 ? 3 : n < 10 ? 2 : 1)
const basename = (path: string): string => path.split(/[\\/]/).at(-1) ?? path

const verdict = (ok: boolean): Html =>
  ok ? html`<span class="verdict">ok</span>` : html`<span class="verdict failed">failed</span>`

const speedup = (timing: Timing): Html | undefined =>
  timing.speedup === undefined ? undefined : html`<small>${timing.speedup.toFixed(2)}× as fast</small>`

function runtimeRow(r: RuntimeProof): Html {
  const { accuracy } = r.answers ?? {}
  const { latency, throughput } = r
  const means = Object.values(r.outputs).map(({ mean }) => mean)
  const cells = [
    count(r.examples),
    accuracy
      ? html`${percent(accuracy.file, 2)}<small>reference ${percent(accuracy.reference, 2)}</small>`
      : NONE,
    accuracy ? points(accuracy.drop) : NONE,
    r.answers
      ? html`${percent(r.answers.agreement, 2)}<small>${count(r.answers.disagreed)} differ</small>`
      : NONE,
    r.error ? NONE : html`${small(r.maxAbsDiff)}<small>mean ${small(Math.max(...means))}</small>`,
    latency ? html`${ms(latency.file.p50)} / ${ms(latency.file.p99)}${speedup(latency)}` : NONE,
    throughput ? html`${count(Math.round(throughput.throughput.file))}${speedup(throughput)}` : NONE,
    verdict(r.ok),
  ]
  return html`<tr><th scope="row">${r.runtime}<small> ${r.version}</small></th>${cells.map(cell => html`<td>${cell}</td>`)}</tr>\n`
}

const sizesOf = (runtimes: readonly RuntimeProof[], key: 'latency' | 'throughput'): string =>
  [...new Set(runtimes.flatMap(r => r[key]?.batch ?? []))].join(', ') || NONE

function runtimeTable(runtimes: readonly RuntimeProof[]): Html {
  const head = [
    ...['Runtime', 'Examples', 'Accuracy', 'Drop, points', 'Agreement', 'Largest difference'],
    `Milliseconds at batch ${sizesOf(runtimes, 'latency')}, p50 / p99`,
    `Examples/s at batch ${sizesOf(runtimes, 'throughput')}`,
    'Verdict',
  ]
  return scroll(
    'Runtimes',
    html`<table class="numbers runtimes">
<thead><tr>${head.map(title => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${runtimes.map(runtimeRow)}</tbody></table>`,
  )
}

const list = (lines: readonly string[], kind: string): Html | undefined =>
  lines.length ? html`<ul class="${kind}">${lines.map(line => html`<li>${line}</li>`)}</ul>` : undefined

/** Bytes of a file as a bar: its weights by element type, and the rest. */
function bar(title: string, { bytes, weights }: FileFacts, most: number): Html {
  const parts = Object.entries(weights).filter(([, n]) => n > 0)
  const rest = Math.max(0, bytes - parts.reduce((n, [, own]) => n + own, 0))
  const all: (readonly [string, number])[] = [...parts, ['graph and metadata', rest]]
  const text = all.map(([name, n]) => `${name} ${byteSize(n)}`).join(', ')
  return html`<figure><figcaption><b>${byteSize(bytes)}</b> ${named(title)} <small>${text}</small></figcaption>
<div class="track" role="img" aria-label="${text}">${all.map(([, n]) => html`<i style="width:${((100 * n) / most).toFixed(2)}%"></i>`)}</div></figure>`
}

function sizeSection({ file, reference }: Proof): Section {
  const other = reference.file
  const most = Math.max(file.bytes, other?.bytes ?? 0)
  const bars = [
    bar(`${basename(file.name)}, ${file.form}`, file, most),
    ...(other ? [bar(`the reference, ${other.form}`, other, most)] : []),
  ]
  const lead = other
    ? `The file has ${percent(file.bytes / other.bytes)} of the reference's bytes.`
    : undefined
  return { id: 'size', title: 'Size', ...(lead ? { lead } : {}), body: html`<div class="bars">${bars}</div>` }
}

async function disagreements(all: readonly Disagreement[], data: Dataset, name: Name): Promise<Html> {
  const sure = (d: Disagreement) => `${percent(d.certainty.reference, 0)} → ${percent(d.certainty.file, 0)}`
  if (!('images' in data))
    return scroll(
      'Disagreements',
      html`<table class="numbers"><thead><tr><th scope="col">No.</th><th scope="col">Truth</th><th scope="col">Reference</th><th scope="col">File</th><th scope="col">Sure</th><th scope="col">Difference</th></tr></thead>
<tbody>${all.map(d => html`<tr><th scope="row">${count(d.index)}</th><td>${d.truth === undefined ? NONE : name(d.truth)}</td><td>${name(d.reference)}</td><td>${name(d.file)}</td><td>${sure(d)}</td><td>${d.difference.toFixed(3)}</td></tr>`)}</tbody></table>`,
    )
  const set: ImageDataset = data
  const pictures = await Promise.all(all.map(d => photo(imageAt(set, d.index), set.shape)))
  return html`<ol class="mistakes">${all.map(
    (d, i) => html`<li><figure>
<img src="${nth(pictures, i)}" width="${nth(set.shape, 2)}" height="${nth(set.shape, 1)}" alt="Test image ${d.index}: reference ${name(d.reference)}, file ${name(d.file)}">
<figcaption><span>${named(name(d.reference))} → <b>${named(name(d.file))}</b></span> ${d.truth !== undefined && html`<small>truth ${named(name(d.truth))}</small>`} <small>${sure(d)} sure</small> <small>no. ${count(d.index)}</small></figcaption>
</figure></li>`,
  )}</ol>`
}

/** Of more classes the ones that lose most are shown. */
const MOST_CLASSES = 50

function classTable(classes: readonly ClassCount[], name: Name): Html {
  const rows = classes
    .map((c, label) => ({ ...c, label, change: (100 * (c.file - c.reference)) / c.count }))
    .filter(c => c.count > 0)
  const few = rows.length <= MOST_CLASSES
  const shown = few ? rows : rows.toSorted((a, b) => a.change - b.change).slice(0, MOST_CLASSES)
  return scroll(
    'Classes',
    html`<table class="numbers">
<thead><tr><th scope="col">Class</th><th scope="col">Examples</th><th scope="col">Reference</th><th scope="col">File</th><th scope="col">Change, points</th></tr></thead>
<tbody>${shown.map(c => html`<tr><th scope="row">${named(name(c.label))}</th><td>${count(c.count)}</td><td>${percent(c.reference / c.count, 2)}</td><td>${percent(c.file / c.count, 2)}</td><td>${c.change > 0 ? '+' : ''}${points(c.change)}</td></tr>`)}</tbody></table>`,
  )
}

/** The runtime that compared most examples, the first of them. */
const fullest = (runtimes: readonly RuntimeProof[]): RuntimeProof | undefined =>
  runtimes.filter(r => r.answers).toSorted((a, b) => b.examples - a.examples)[0]

async function answerSections(
  runtime: RuntimeProof,
  answers: Agreement,
  data: Dataset,
  name: Name,
): Promise<Section[]> {
  const { disagreements: kept, disagreed, classes } = answers
  const on = `${runtime.runtime}, ${counted(runtime.examples, 'example')}`
  return [
    {
      id: 'disagreements',
      title: 'Disagreements',
      lead: disagreed
        ? `${counted(disagreed, 'prediction')} of ${count(answers.count)} ${disagreed === 1 ? 'is' : 'are'} not the reference's (${on}). Shown: those whose logits differ most, reference → file, with the probability that each gives to its own answer.`
        : `None: file and reference make the same ${count(answers.count)} predictions (${on}).`,
      body: kept.length ? await disagreements(kept, data, name) : html``,
    },
    ...(classes
      ? [
          {
            id: 'classes',
            title: 'Classes',
            lead: `Accuracy of each class: ${on}.`,
            body: classTable(classes, name),
          },
        ]
      : []),
  ]
}

const fact = (name: string, value: string, more?: string): Html =>
  html`<div><dt>${name}</dt><dd>${value}${more && html` <small>${more}</small>`}</dd></div>`

function headOf(proof: Proof): Html {
  const { ok, file, reference, runtimes, failures, examples, date } = proof
  const best = fullest(runtimes)
  const { accuracy, agreement } = best?.answers ?? {}
  const passed = runtimes.filter(r => r.ok).length
  const worst = Math.max(...runtimes.map(r => r.maxAbsDiff))
  const other = reference.file
  return html`
<p class="kicker">Proof of an exported file</p>
<h1>${basename(file.name)}</h1>
<p class="origin">${file.form}, against ${reference.name}; ${examples.name}${examples.size !== undefined && `, ${count(examples.size)} examples`}</p>
<p class="score"><b>${ok ? 'Passed' : 'Failed'}</b><span>${passed} of ${counted(runtimes.length, 'runtime')}<br><small>${limits(proof)}</small></span></p>
<dl class="facts">
${fact('Size', byteSize(file.bytes), other && `reference ${byteSize(other.bytes)}`)}
${accuracy && fact('Accuracy', percent(accuracy.file, 2), `reference ${percent(accuracy.reference, 2)}`)}
${accuracy && fact('Drop', `${points(accuracy.drop)} points`)}
${agreement !== undefined && fact('Agreement', percent(agreement, 2))}
${fact('Largest difference', small(worst))}
${fact('Read by', file.onnxruntime ? `onnxruntime ${file.onnxruntime} and later` : NONE, `opset ${file.opset}`)}
</dl>
${list(failures, 'failures')}
<p class="quiet">${date.slice(0, 16).replace('T', ' ')} UTC</p>`
}

/** The limits that decide, in words. */
function limits({
  file,
  thresholds: { tolerance, maxDrop, minAgreement, maxError },
  runtimes,
}: Proof): string {
  const classified = runtimes.some(r => r.answers)
  return [
    file.lossy ? undefined : `outputs may differ by ${tolerance}`,
    classified && maxDrop !== undefined
      ? `accuracy may drop by ${maxDrop} points, or by one example`
      : undefined,
    classified && minAgreement !== undefined
      ? `${percent(minAgreement)} of predictions must agree`
      : undefined,
    !classified && maxError !== undefined
      ? `outputs may be off by ${percent(maxError)} of their spread`
      : undefined,
  ]
    .filter(Boolean)
    .join('; ')
}

function machineSection({ machine, runtimes, skipped }: Proof): Section {
  const facts = [
    ['Processor', `${machine.processor}, ${machine.cores} cores`],
    ['System', machine.system],
    ['Threads', machine.threads],
    ['Node', machine.node],
    ['onnxgrad', machine.onnxgrad],
    ...runtimes.map(r => [r.runtime, [`onnxruntime ${r.version}`, r.detail].filter(Boolean).join('; ')]),
    ...skipped.map(s => [`Not run: ${s.device}`, s.reason]),
  ]
  return {
    id: 'machine',
    title: 'Machine',
    body: html`<ul class="notes">${facts.map(([name, value]) => html`<li><b>${name}</b>: ${value}</li>`)}</ul>`,
  }
}

/** A proof as a page in one file. @param data the test set, whose pictures are shown */
export async function proofPage(proof: Proof, data: Dataset): Promise<string> {
  const { runtimes, speed, examples, file } = proof
  const best = fullest(runtimes)
  const name: Name = label => shownName(examples.classes?.[label] ?? String(label))
  const sections: Section[] = [
    {
      id: 'runtimes',
      title: 'Runtimes',
      lead: 'Times were taken by turns, reference and file, so that both meet the same machine; “as fast” compares the two.',
      body: html`${runtimeTable(runtimes)}${list(speed, 'notes')}`,
    },
    sizeSection(proof),
    ...(best?.answers ? await answerSections(best, best.answers, data, name) : []),
    machineSection(proof),
  ]
  return page(`${basename(file.name)} – proof`, headOf(proof), sections)
}
