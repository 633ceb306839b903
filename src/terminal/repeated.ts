import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import { kebab } from '../runs/command.ts'

/** The flags that take lists: they may be given in parts. yargs tells its options, but its declarations do not say so. */
function listFlags(yargs: object): readonly unknown[] {
  const options: unknown =
    'getOptions' in yargs && typeof yargs.getOptions === 'function' && yargs.getOptions()
  const { array } = fieldsOf(options)
  return Array.isArray(array) ? array : []
}

/**
 * yargs would make a list of them.
 * @param args as they were typed
 * @throws UserError for a flag that is given twice
 */
export function refuseRepeated(args: readonly string[], yargs: object): void {
  const end = args.indexOf('--')
  const names = (end < 0 ? args : args.slice(0, end)).flatMap(arg => {
    const [, name] = /^--(?:no-)?([^=]+)/.exec(arg) ?? []
    return name === undefined ? [] : [kebab(name)]
  })
  const lists = listFlags(yargs).map(name => kebab(String(name)))
  const twice = names.find((name, i) => names.indexOf(name) < i && !lists.includes(name) && name !== 'help')
  if (twice !== undefined) throw new UserError(`--${twice} is given twice; give it once`)
}
