import { readText } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'

/** Whether a line of a run's records is of what was done by a step; the summary of a run's end is not. */
function standsAt(line: string, step: number, where: string): boolean {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {}
  if (typeof value !== 'object' || value === null)
    throw new UserError(`${where} is not a JSON object: the file is damaged; repair or delete it`)
  return 'step' in value && Number(value.step) <= step
}

/** The lines of a file, without a last one that was cut off; none where it is missing. */
const linesOf = async (file: string): Promise<string[]> =>
  ((await readText(file)) ?? '').split('\n').slice(0, -1)

/**
 * The lines of `metrics.jsonl` or `steps.jsonl` that a run keeps when it is resumed from a step: no line of a later one, which
 * will be done again, nor a last line that was cut off. A missing file has none.
 * @throws UserError when another line is damaged
 */
export async function linesUpTo(file: string, step: number): Promise<string> {
  const lines = await linesOf(file)
  const kept = lines.filter((line, i) => standsAt(line, step, `${file}: line ${i + 1}`))
  return kept.map(line => `${line}\n`).join('')
}

/** Seconds that a run has taken up to a step, as its `metrics.jsonl` says: of its epochs, or where it was stopped. */
export async function secondsUpTo(file: string, step: number): Promise<number> {
  const lines = (await linesOf(file)).map(line => fieldsOf(JSON.parse(line)))
  const known = lines.filter(line => Number(line.step ?? line.steps) <= step)
  return Math.max(0, ...known.map(line => Number(line.seconds ?? 0)))
}

/** Whether `metrics.jsonl` ends with the summary of a run that was not stopped before its end. */
export async function isFinal(file: string): Promise<boolean> {
  const line = (await linesOf(file)).at(-1)
  const { final, stopped }: { final?: unknown; stopped?: unknown } = JSON.parse(line ?? '{}')
  return final === true && stopped !== true
}
