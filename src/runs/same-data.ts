import { compare, type Fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import type { Context } from './definition.ts'

/**
 * Tells what could not be compared.
 * @param path of the run, or of the runs that belong together
 * @param run what it was trained on, where it says so
 * @throws UserError that says how data differ from those of the run
 */
export function refuseOtherData(
  path: string,
  run: Fingerprints | undefined,
  data: Fingerprints,
  { notice: tell }: Pick<Context, 'notice'>,
): void {
  if (!run) {
    tell(
      `${path} was written by an older release, which did not record the data: onnxgrad cannot check whether they are the same`,
    )
    return
  }
  const { differences, notice } = compare(run, data)
  if (differences.length)
    throw new UserError(
      `${path}: the data differ from those of the run: ${differences.join('; ')}; give the run's own data`,
    )
  if (notice) tell(notice)
}
