/** A text of an untrusted file for a message or a terminal: one line, no control characters, not endless. */
export const printable = (text: string, most = 80): string => {
  // Control characters, and those that turn the direction of what comes after them.
  const plain = text.slice(0, most).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�')
  return text.length > most ? `${plain}…` : plain
}

/** A text of several lines, some of which may come from files, for a terminal: nothing in it but what can be read. */
export const plainLines = (text: string): string =>
  text.replace(/\r\n/g, '\n').replace(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, '�')
