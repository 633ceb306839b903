import { lookup, nth } from '../graph/present.ts'
import { plainLines } from '../graph/printable.ts'

/** Markup that is put into a page as it is. */
export class Html {
  readonly markup: string

  constructor(markup: string) {
    this.markup = markup
  }
}

/** What a template takes: text is escaped, markup is not, nothing stands for `undefined` and `false`. */
export type Part = string | number | Html | false | undefined | readonly Part[]

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const markupOf = (part: Part): string => {
  if (part instanceof Html) return part.markup
  if (part === undefined || part === false) return ''
  if (typeof part === 'object') return part.map(markupOf).join('')
  return plainLines(String(part)).replace(/[&<>"']/g, c => lookup(ENTITIES, c))
}

/**
 * Markup with values in it, between tags or in quoted attributes: no text can become a tag, whoever wrote it, and none has
 * characters that are not seen.
 */
export const html = (texts: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(texts.reduce((whole, text, i) => whole + markupOf(nth(parts, i - 1)) + text))

/** A name among other text: which way its script is written changes nothing beside it. */
export const named = (name: string): Html => html`<bdi>${name}</bdi>`
