export { count, duration, percent } from '../../../src/report/text.ts'

/** Such as `512 B`, `560 KB`, `1.7 MB`. */
export function byteSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(0)} KB`
  return `${(bytes / 1024 ** 2).toFixed(1)} MB`
}
