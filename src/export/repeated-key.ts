/**
 * The first key that an object of a JSON text has twice, at any depth; undefined where there is none. `JSON.parse` takes
 * the last of such values and says nothing.
 * @param json text that `JSON.parse` accepts
 */
export function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = []
  let string = ''
  // By character: regular expressions run out of stack on strings of megabytes.
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '{') open.push(new Set())
    else if (character === '}') open.pop()
    else if (character === '"') {
      const start = at++
      while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
      string = json.slice(start, at + 1)
    } else if (character === ':') {
      // Escapes are undone: "\u0061" is "a".
      const key = String(JSON.parse(string))
      const keys = open.at(-1)
      if (keys?.has(key)) return key
      keys?.add(key)
    }
  }
  return undefined
}
