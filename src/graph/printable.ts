/**
 * What is not seen itself, or changes how other text is seen: control characters, lone surrogates, line and paragraph
 * separators, and invisible format characters, such as those that turn the direction of text. Left are the joiner and
 * the non-joiner beside letters and emoji, which Persian, Hindi and 👩‍🔬 are written with, and the tags of flags (🏴󠁧󠁢󠁳󠁣󠁴󠁿).
 */
const UNSEEN = (() => {
  const written = String.raw`[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}]`
  const joiner = String.raw`(?:(?<=\p{M})|(?<=${written})(?=.${written}))[\u200c\u200d]`
  const tag = String.raw`(?<=\u{1f3f4}[\u{e0020}-\u{e007e}]{0,6})[\u{e0020}-\u{e007f}]`
  const invisible = String.raw`(?=[\p{Cf}])(?=[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb])`
  return new RegExp(String.raw`[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|${invisible}(?!${joiner}|${tag}).`, 'gsu')
})()

/** The replacement for a character that is not shown. */
const REPLACEMENT = '\ufffd'

/** Characters of any script take fewer code units. */
const LONGEST_CHARACTER = 64

/** The first `most` code units of a text, or fewer, so that no character is cut in two. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text
  const characters = new Intl.Segmenter().segment(text.slice(0, most + LONGEST_CHARACTER))
  return text.slice(0, characters.containing(most)?.index || most)
}

/**
 * A text of an untrusted file for a message, a terminal or a page: one line in which everything is visible.
 * @param most code units that are kept; an ellipsis stands for the others
 */
export function printable(text: string, most = 80): string {
  const kept = cut(text, most)
  return kept.replace(UNSEEN, REPLACEMENT) + (kept.length < text.length ? '…' : '')
}

/** Multi-line text, parts of which may come from files: like `printable`, but keeps line breaks and tabs. */
export const plainLines = (text: string): string =>
  text
    .replace(/\r\n/g, '\n')
    .replace(UNSEEN, character => (/[\n\t]/.test(character) ? character : REPLACEMENT))

const inEscapes = (json: string, what: RegExp): string =>
  json.replace(what, text =>
    Array.from(
      { length: text.length },
      (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )

/** JSON that says the same, on a terminal too: what `JSON.stringify` leaves of unseen characters is escaped. */
export const plainJson = (json: string): string => inEscapes(json, UNSEEN)

/** The name of a class, a model or a setting for display; a name without visible characters is shown as a string literal. */
export const shownName = (name: string, most = 60): string =>
  /^[\s\p{C}\p{Default_Ignorable_Code_Point}]*$/u.test(name)
    ? printable(inEscapes(JSON.stringify(name), /[^ -~]/g), most)
    : printable(name, most)
