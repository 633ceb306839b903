import type { CommandModule } from 'yargs'
import { doctorVerb } from './doctor.ts'
import { evalVerb } from './eval.ts'
import { exportVerb } from './export.ts'
import { inspectVerb } from './inspect.ts'
import { predictVerb } from './predict.ts'
import { reportVerb } from './report.ts'
import { sampleVerb } from './sample.ts'
import { serveVerb } from './serve.ts'
import { trainVerb } from './train.ts'
import { tuneVerb } from './tune.ts'
import { verifyVerb } from './verify.ts'

/** Every verb, in the order in which --help lists them. */
export const VERBS = [
  trainVerb,
  tuneVerb,
  evalVerb,
  exportVerb,
  verifyVerb,
  inspectVerb,
  predictVerb,
  reportVerb,
  sampleVerb,
  serveVerb,
  doctorVerb,
] as readonly CommandModule[]
