/** The first names of a list, and how many more there are. */
export function listed(names: readonly string[], most = 10): string {
  const more = names.length - most
  return names.slice(0, most).join(', ') + (more > 0 ? ` and ${more.toLocaleString('en-US')} more` : '')
}

/** Several notices as one; the property is left out where there are none. */
export function joined(...notices: readonly (string | undefined)[]): { readonly notice?: string } {
  const all = notices.filter(notice => notice)
  return all.length ? { notice: all.join('. ') } : {}
}
