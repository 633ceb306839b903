import type { ArgumentsCamelCase, Argv } from 'yargs'

/** What a verb's file exports; its name and its line in --help stand in verbs.ts. */
export interface Verb<Flags = object> {
  /** Declares its positional arguments and flags. Flags that few people need are `hidden`: --help-all shows them. */
  builder?(yargs: Argv): unknown
  handler(flags: ArgumentsCamelCase<Flags>): void | Promise<void>
}
