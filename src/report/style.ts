import { Html } from './html.ts'

/** How a page looks. Colours are those of the lab; charts take theirs from here, by name. */
export const STYLE = new Html(`
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --edge: #dde1e7; --text: #17202c; --quiet: #566272; --accent: #0b62c4;
  --train: #0b62c4; --held: #b4540a; --once: #a1195b; --bar: #71829a; --track: #e7eaef;
  --right: 11 98 196; --wrong: 214 90 10;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #101318; --card: #181c23; --edge: #2c343f; --text: #e8ecf1; --quiet: #a3afbd; --accent: #6db3ff;
    --train: #6db3ff; --held: #ffb05c; --once: #ff8fc0; --bar: #7b8b9f; --track: #2a313b;
    --right: 64 150 250; --wrong: 255 132 48;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem 3rem; background: var(--page); color: var(--text); }
h1, h2, p, ol, ul, dl, dd, figure { margin: 0; padding: 0; }
ol, ul { list-style: none; }
p { text-wrap: pretty; }
small { color: var(--quiet); font-size: 0.8125rem; }
a { color: var(--accent); }
img { image-rendering: pixelated; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

header { padding: 2.5rem 0 0; }
.kicker { color: var(--quiet); font-size: 0.8125rem; font-weight: 600; letter-spacing: 0.08em; text-transform: uppercase; }
h1 { margin: 0.15rem 0 0.2rem; font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; overflow-wrap: anywhere; }
.origin, .lead { color: var(--quiet); overflow-wrap: anywhere; }
.score { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1.25rem; margin: 1.5rem 0 1.25rem; }
.score b { font-size: 3.5rem; line-height: 1; font-weight: 700; letter-spacing: -0.035em; white-space: nowrap; }
.score span { line-height: 1.4; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem 1.5rem; padding: 1.25rem 0; border: solid var(--edge); border-width: 1px 0; }
.facts dt { color: var(--quiet); font-size: 0.8125rem; }
.facts dd { font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.facts dd small { font-weight: 400; white-space: nowrap; }
header > .quiet { margin-top: 0.75rem; color: var(--quiet); font-size: 0.8125rem; }
.chosen { margin: 1.25rem 0 0; max-width: 46rem; }
nav { margin: 1.5rem 0 0; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.4rem; }
nav a { display: block; padding: 0.2rem 0.75rem; border: 1px solid var(--edge); border-radius: 1rem; background: var(--card); font-size: 0.875rem; text-decoration: none; }
nav a:hover { border-color: var(--accent); }

main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.25rem; margin: 1.25rem 0 0; }
section { grid-column: 1 / -1; padding: 1.5rem; border: 1px solid var(--edge); border-radius: 0.75rem; background: var(--card); scroll-margin-top: 1rem; }
section.half { grid-column: span 1; }
h2 { font-size: 1.25rem; line-height: 1.3; letter-spacing: -0.01em; }
.lead { max-width: 46rem; margin: 0.25rem 0 0; font-size: 0.9375rem; }
h2 + *, .lead + * { margin-top: 1.25rem; }
footer { margin: 1.5rem 0 0; color: var(--quiet); font-size: 0.8125rem; }

.curves { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 1.75rem 1.5rem; }
.curve { grid-column: span 3; }
.curve.small { grid-column: span 2; }
.curve figcaption, .chart figcaption { margin-bottom: 0.25rem; }
.plot { display: block; width: 100%; height: auto; color: var(--quiet); font-size: 12.5px; font-variant-numeric: tabular-nums; }
.plot text { white-space: pre; }
.small .plot { font-size: 11.5px; }
.key { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin-top: 0.35rem; color: var(--quiet); font-size: 0.8125rem; }
.key span { display: inline-flex; align-items: center; gap: 0.4rem; }
.key i { position: relative; width: 1.25rem; height: 2px; background: var(--train); }
.key i.step { height: 1px; opacity: 0.6; }
.key i.held { background: var(--held); }
.key i:is(.train, .held)::after, .key i.once::after { content: ""; position: absolute; left: 50%; top: 50%; width: 7px; height: 7px; margin: -3.5px; border-radius: 50%; background: inherit; }
.key i.once { width: 0.75rem; background: none; }
.key i.once::after { border-radius: 0; background: var(--once); transform: rotate(45deg); }
.key i.taken { width: 0; height: 0.9em; border-left: 1.5px dotted var(--quiet); background: none; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
caption { padding-bottom: 0.5rem; color: var(--quiet); font-size: 0.8125rem; text-align: left; }
th { font-weight: 600; }
.confusion th, .confusion td { height: 2.6rem; min-width: 3.4rem; padding: 0 0.3rem; text-align: center; white-space: nowrap; }
.confusion th { max-width: 9rem; overflow: hidden; text-overflow: ellipsis; color: var(--quiet); }
.confusion tbody th { text-align: right; padding-right: 0.6rem; }
.confusion td { border: 2px solid var(--card); border-radius: 0.3rem; }
.confusion td.right { background: rgb(var(--right) / calc(0.08 + 0.34 * var(--share))); font-weight: 600; }
.confusion td.wrong { background: rgb(var(--wrong) / calc(0.08 + 0.5 * var(--share))); }
.confusion td.none { color: var(--quiet); opacity: 0.5; }
.numbers th, .numbers td { padding: 0.35rem 0.9rem; border-bottom: 1px solid var(--edge); text-align: right; }
.numbers th:first-child { padding-left: 0; text-align: left; }
.numbers th[scope="row"], .pairs td:nth-child(2), .classes td:last-child { min-width: 4rem; max-width: 16rem; overflow-wrap: anywhere; }
.numbers.classes tr > :last-child, .numbers.pairs tr > :nth-child(2), .numbers.epochs td:first-child { text-align: left; }
.numbers.epochs td:first-child { padding-left: 0; font-weight: 600; }
.numbers thead th { color: var(--quiet); font-size: 0.8125rem; vertical-align: bottom; }
.numbers tfoot th, .numbers tfoot td { border: 0; font-weight: 600; }
.beside { display: flex; flex-wrap: wrap; gap: 1.5rem 2rem; align-items: flex-start; }
.beside > * { min-width: 0; max-width: 100%; }
.matrix { width: min(100%, 26rem); }
.matrix img { width: 100%; }
details { margin-top: 1.25rem; }
summary { color: var(--accent); font-size: 0.9375rem; cursor: pointer; }
details > .scroll { margin-top: 0.75rem; }

.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); gap: 1.25rem 1rem; }
.mistakes img, .gaze img { display: block; width: 100%; height: auto; border-radius: 0.4rem; }
.mistakes figcaption { margin-top: 0.35rem; font-size: 0.9375rem; line-height: 1.35; overflow-wrap: anywhere; }
.mistakes small { display: block; font-size: 0.75rem; }
.gazes { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.75rem; }
.gaze { display: grid; grid-template-columns: 1fr 2.08fr; gap: 0.6rem; }
.gaze > div { display: grid; gap: 0.6rem; align-content: start; }
.gaze .maps { border-radius: 0; background: var(--edge); }
.gazes figcaption { margin-top: 0.4rem; }
.positions { width: min(100%, 22rem); }
.positions img { display: block; width: 100%; }
.positions figcaption { display: flex; justify-content: space-between; margin-top: 0.6rem; }
.scale { display: inline-flex; align-items: center; gap: 0.5rem; }
.scale i { width: 8rem; height: 0.6rem; border-radius: 0.3rem; background: linear-gradient(90deg, rgb(226 104 32), rgb(226 104 32 / 0) 50%, rgb(36 120 214 / 0) 50%, rgb(36 120 214)); }
.chart { width: min(100%, 30rem); }

.settings { columns: 20rem; column-gap: 2.5rem; font-size: 0.875rem; }
.settings div { display: flex; gap: 1rem; justify-content: space-between; padding: 0.3rem 0; border-bottom: 1px solid var(--edge); break-inside: avoid; }
.settings dt { color: var(--quiet); }
.settings dd { text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.times { display: flex; gap: 2px; height: 0.9rem; overflow: hidden; border-radius: 0.3rem; }
.times i { min-width: 2px; }
.setup { background: var(--bar); }
.steps { background: var(--train); }
.rest { background: var(--held); }
.facts.small { padding-bottom: 0; border: 0; }
.verdict { display: inline-block; padding: 0.05rem 0.55rem; border-radius: 0.75rem; background: rgb(var(--right) / 0.16); font-weight: 600; white-space: nowrap; }
.verdict.failed { background: rgb(var(--wrong) / 0.28); }
.numbers.runtimes tr > :last-child { text-align: left; }
.numbers.runtimes tr > * { padding: 0.35rem 0.6rem; }
.numbers.runtimes th[scope="row"] { min-width: 10.5rem; padding-left: 0; }
.numbers.runtimes thead th:first-child { padding-left: 0; }
.scroll + .notes { margin-top: 1rem; }
.numbers.runtimes td small { display: block; white-space: nowrap; }
.failures { margin-top: 1rem; max-width: 46rem; }
.failures li { padding: 0.4rem 0.75rem; border-left: 3px solid rgb(var(--wrong)); background: rgb(var(--wrong) / 0.1); overflow-wrap: anywhere; }
.failures li + li { margin-top: 0.4rem; }
.notes li { padding: 0.2rem 0; font-size: 0.9375rem; overflow-wrap: anywhere; }
.bars { display: grid; gap: 1rem; }
.bars figcaption { margin-bottom: 0.3rem; font-size: 0.9375rem; overflow-wrap: anywhere; }
.bars .track { display: flex; height: 1.1rem; border-radius: 0.3rem; overflow: hidden; background: var(--track); }
.bars .track i:nth-child(4n+1) { background: var(--train); }
.bars .track i:nth-child(4n+2) { background: var(--held); }
.bars .track i:nth-child(4n+3) { background: var(--once); }
.bars .track i:nth-child(4n) { background: var(--bar); }
.swatch { display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.4em; border-radius: 0.15em; }

@media screen and (max-width: 44rem) {
  body { padding: 0 0.75rem 2rem; }
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.6rem; }
  .score b { font-size: 2.75rem; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  section, section.half { grid-column: 1 / -1; padding: 1.1rem 0.75rem; }
  .curve, .curve.small { grid-column: 1 / -1; }
  .confusion { font-size: 0.6875rem; }
  .confusion th, .confusion td { height: 1.9rem; min-width: 1.7rem; padding: 0 0.1rem; }
  .confusion td { border-width: 1px; }
  .numbers th, .numbers td { padding: 0.35rem 0.5rem; }
  .mistakes { grid-template-columns: repeat(auto-fill, minmax(4.4rem, 1fr)); gap: 1rem 0.6rem; }
}
@media print {
  :root { --page: #ffffff; font-size: 11pt; }
  body { max-width: none; padding: 0; }
  .confusion { font-size: 0.75rem; }
  .confusion th, .confusion td { min-width: 2.6rem; height: 2rem; }
  header { padding-top: 0; }
  nav, summary { display: none; }
  section { padding: 1rem 0; border-width: 1px 0 0; border-radius: 0; }
  figure, tr, h2, .lead, .half, .settings div { break-inside: avoid; }
  h2, .lead { break-after: avoid; }
  .scroll { overflow: visible; }
  td, i, img { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`)
