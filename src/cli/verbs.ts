import type { CommandModule } from 'yargs'
import { exportVerb } from './export.ts'
import { train } from './train.ts'

/** Every verb, in the order in which --help lists them. */
export const VERBS = [train, exportVerb] as unknown as readonly CommandModule[]
