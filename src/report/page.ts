import { VERSION } from '../version.ts'
import { type Html, html } from './html.ts'
import { STYLE } from './style.ts'

export interface Section {
  /** Of its anchor. */
  readonly id: string
  readonly title: string
  /** What is to be seen, in a sentence. */
  readonly lead?: Html | string
  readonly body: Html
  /** Two of these stand side by side where there is room. */
  readonly half?: boolean
}

/** Nothing is fetched, and nothing runs: whatever gets into a page stays text. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

/** A page in one file that needs nothing else, in light and dark, on paper and on a phone. */
export const page = (title: string, head: Html, sections: readonly Section[]): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="onnxgrad ${VERSION}">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<header>${head}
<nav aria-label="Contents"><ul>${sections.map(s => html`<li><a href="#${s.id}">${s.title}</a></li>`)}</ul></nav>
</header>
<main>
${sections.map(
  ({ id, title, lead, body, half }) =>
    html`<section id="${id}"${half && html` class="half"`} aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>${lead && html`<p class="lead">${lead}</p>`}
${body}
</section>
`,
)}</main>
<footer>Written by onnxgrad ${VERSION}. One file, without scripts; it asks nothing of any server.</footer>
</body>
</html>
`.markup
