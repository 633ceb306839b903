/** The names of a table, as its type has them. */
export const keysOf = <T extends object>(table: T): readonly Extract<keyof T, string>[] =>
  Object.keys(table) as Extract<keyof T, string>[]

/** Whether a name that came from outside is one of a table's own. */
export const isKey = <T extends object>(table: T, name: PropertyKey): name is keyof T =>
  Object.hasOwn(table, name)

/** Whether a value that came from outside, such as from JSON, has fields; arrays have, too. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** The fields of a value that came from outside; of what has none, none. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> => (isObject(value) ? value : {})

/** The fields that are not undefined. */
export const defined = (fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** Of some fields, those that are not undefined. */
export const picked = (
  fields: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> => defined(Object.fromEntries(names.map(name => [name, fields[name]])))
