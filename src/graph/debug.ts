interface Host {
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> }
}

/** An environment variable; in a page, a global variable of that name. Read without node:process, because pages load this file. */
export function setting(name: string): string {
  const { process }: Host = globalThis
  return String(process?.env?.[name] ?? Reflect.get(globalThis, name) ?? '')
}

/**
 * The level of ONNXGRAD_DEBUG; each level includes those below it. 1: stacks of errors, passes and their times; 2: printed graphs;
 * 3: time by layer and by operator of each session; 4: the `.onnx` file of every stage. Anything that is not a number counts as 1.
 */
export function debugLevel(): number {
  const text = setting('ONNXGRAD_DEBUG')
  if (!text) return 0
  const level = Number(text)
  return Number.isFinite(level) ? level : 1
}
