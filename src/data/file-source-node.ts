import { fileURLToPath } from 'node:url'

/** A file by its path or its `file:` URL. */
export type FileSource = string | { readonly href: string }

export const pathOf = (source: FileSource): string =>
  typeof source === 'string' ? source : fileURLToPath(source.href)
