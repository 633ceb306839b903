import type { CompileError } from '../types/compile.ts'

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Colours of an editor's light theme, by what a piece of code is. */
const TOKENS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['comment', /^\/\/.*/],
  ['string', /^'[^']*'/],
  ['number', /^\d+/],
  ['keyword', /^(?:import|from|const|export|await)\b/],
  ['call', /^[a-zA-Z]\w*(?=\()/],
]

function highlighted(code: string): string {
  let [html, rest] = ['', code]
  while (rest) {
    const found = TOKENS.map(([name, pattern]) => [name, pattern.exec(rest)?.[0]] as const).find(
      ([, text]) => text,
    )
    const plain = /^(?:\w+|[\s\S])/.exec(rest)?.[0] ?? ''
    const [name, text = plain] = found ?? []
    html += name ? `<span class="${name}">${escaped(text)}</span>` : escaped(text)
    rest = rest.slice(text.length)
  }
  return html
}

/** A page that looks like an editor: code, a wavy line under the argument that is wrong, and the compiler's message. */
export function editorPage(code: string, error: CompileError): string {
  // The comment that shows the error in the README is what the picture shows.
  const lines = code.trimEnd().split('\n').slice(0, error.line)
  const wrong = lines.at(-1)?.match(/^(.*, )(\w+)(\).*)$/)
  if (!wrong) throw new Error(`no last argument in: ${lines.at(-1)}`)
  const [, before = '', argument = '', after = ''] = wrong
  const body = lines.slice(0, -1).map(highlighted)
  const last = `${highlighted(before)}<span class="wrong">${argument}</span>${highlighted(after)}`
  const [, number = '', message = ''] = /^(TS\d+): ([\s\S]*)$/.exec(error.text) ?? []
  const text = escaped(message).replaceAll(/'([^']*)'/g, '<code>$1</code>')
  return `<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 18px 18px 24px; background: #fff; font: 14px/1.6 system-ui, sans-serif; color: #1f2328 }
.code { font: 15px/1.65 ui-monospace, 'DejaVu Sans Mono', monospace; counter-reset: line; white-space: pre }
.code div::before { counter-increment: line; content: counter(line); color: #8c959f; display: inline-block; width: 2ch; margin-right: 2ch; text-align: right }
.comment { color: #6e7781 } .string { color: #0a3069 } .number { color: #0550ae } .keyword { color: #cf222e } .call { color: #8250df }
.wrong { text-decoration: underline wavy #d1242f 1.5px; text-underline-offset: 4px }
.message { margin: 8px 0 0 4ch; border: 1px solid #d0d7de; border-radius: 6px; background: #f6f8fa; padding: 10px 14px; max-width: 760px; box-shadow: 0 4px 14px #1f232820 }
.message code { font: 13px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; background: #eaeef2; border-radius: 4px; padding: 1px 5px }
.message small { color: #6e7781 }
</style>
<div class="code">${[...body, last].map(line => `<div>${line}</div>`).join('')}</div>
<div class="message">${text} <small>ts(${number.slice(2)})</small></div>`
}
