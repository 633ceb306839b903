import { UserError } from '../graph/errors.ts'
import { type Arranged, KINDS, type Parts } from './class-folders.ts'
import { checkComplete, checkKnown, trainedClasses } from './class-part.ts'
import { listed } from './notice.ts'
import { SKIP } from './unreadable.ts'

/** Whether to skip unusable files instead of failing. */
export interface SkipBad {
  /** Skips unreadable pictures and class folders without pictures, and reports them. @default false */
  readonly skipBad?: boolean | undefined
}

export interface PlanOptions extends SkipBad {
  /** A model's existing classes, in its order; if omitted, the folder names in code-unit order. */
  readonly classes?: readonly string[] | undefined
}

/** Which pictures are read, and what they show. */
export interface ClassPlan {
  readonly parts: Parts
  /** By label, in Unicode's composed form. */
  readonly classes: readonly string[]
  readonly notices: readonly string[]
  /** Class folders without pictures. */
  readonly left: readonly string[]
}

/** Decides what is read. @throws UserError when class folders are empty, or splits have other classes */
export function planned({ parts, others }: Arranged, { classes: known, skipBad }: PlanOptions): ClassPlan {
  const { train, val, test } = parts
  if (train.empty.length && !skipBad)
    throw new UserError(
      `${train.where}: ${train.empty.length === 1 ? 'a class folder has' : `${train.empty.length} class folders have`} no pictures (${KINDS}): ${listed(train.empty, 20)}; add some, remove the folder, or skip it with ${SKIP}`,
    )
  const classes = known?.map(name => name.normalize('NFC')) ?? trainedClasses(train)
  const notices: string[] = []
  if (others.length)
    notices.push(
      `Left out ${count(others.length, 'entry', 'entries')} that ${others.length === 1 ? 'is not a picture' : 'are not pictures'} (${KINDS}) in class folders: ${listed(others, 3)}`,
    )
  const same = alike(classes)
  if (same.length) notices.push(`These class names differ only in case: ${listed(same, 5)}`)
  checkKnown(train, classes)
  for (const part of [val, test]) {
    if (!part) continue
    checkKnown(part, classes)
    checkComplete(part, [...train.pictures.keys()])
    if (part.empty.length)
      notices.push(
        `No pictures in ${count(part.empty.length, 'class folder')} of ${part.where}: ${listed(part.empty, 5)}`,
      )
  }
  return { parts, classes, notices, left: train.empty }
}

const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`

function alike(classes: readonly string[]): string[] {
  const seen = new Map<string, string>()
  return classes.flatMap(name => {
    const key = name.toLowerCase()
    const first = seen.get(key)
    seen.set(key, name)
    return first === undefined ? [] : [`${first} and ${name}`]
  })
}
