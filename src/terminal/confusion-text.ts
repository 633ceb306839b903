import { nth } from '../graph/present.ts'
import { shownName } from '../graph/printable.ts'
import type { Confusion } from '../report/confusion.ts'
import { percent, table } from './output.ts'

/** Of the name of a class, which heads a column. */
const LONGEST_NAME = 20

/** Of more classes no line has room: the most frequent mistakes are listed. */
const MOST_IN_TABLE = 25
const MOST_MISTAKES = 20

type Name = (label: number) => string

const matrix = (confusion: Confusion, name: Name): string =>
  table(
    ['true', ...Array.from({ length: confusion.classes }, (_, i) => name(i)), 'recall'],
    confusion.rows().map((row, i) => {
      const total = row.reduce((a, b) => a + b, 0)
      return [name(i), ...row, total ? percent(nth(row, i) / total) : '–']
    }),
  )

const mistakes = (confusion: Confusion, name: Name): string =>
  table(
    ['true', 'predicted', 'count'],
    confusion
      .mistakes()
      .slice(0, MOST_MISTAKES)
      .map(({ truth, answer, count }) => [name(truth), name(answer), count]),
  )

/** A confusion matrix as a table; of many classes the most frequent mistakes. @param nameOf of a class */
export function confusionText(confusion: Confusion, nameOf: Name): string {
  const name = (label: number) => shownName(nameOf(label), LONGEST_NAME)
  return confusion.classes <= MOST_IN_TABLE ? matrix(confusion, name) : mistakes(confusion, name)
}
