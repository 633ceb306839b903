import { UserError } from '../../graph/errors.ts'
import { checkSetting, type Schema, type Value } from '../../settings/setting.ts'
import { camel } from '../command.ts'
import type { Context, SettingValues } from '../definition.ts'
import { type Dimension, readSpace } from './space.ts'

const samples = (d: Dimension): readonly Value[] => (d.kind === 'choice' ? d.values : [d.low, d.high])

/**
 * The dimensions of a space: settings of a run, by their names or flags, that take the values that are drawn.
 * @param schema the settings of the run @param fixed settings that all trials share @param where for messages
 * @throws UserError for a dimension that is not a setting that may vary
 */
export function dimensionsOf(
  space: unknown,
  schema: Schema,
  fixed: SettingValues,
  where: string,
  context: Context,
): Dimension[] {
  return readSpace(space, where).map(given => {
    const d = { ...given, name: camel(given.name) }
    checkDimension(d, schema, fixed, `${where}: ${given.name}`, context)
    return d
  })
}

function checkDimension(
  d: Dimension,
  schema: Schema,
  fixed: SettingValues,
  where: string,
  { label }: Context,
): void {
  const { name } = d
  const setting = Object.hasOwn(schema, name) ? schema[name] : undefined
  if (!setting) throw new UserError(`${where} is not a setting of this run`)
  const { role = 'learning' } = setting
  if (role !== 'learning')
    throw new UserError(`${where} is the same for all trials; give ${label(name)} to the search instead`)
  if (fixed[name] !== undefined)
    throw new UserError(
      `${where} varies, and is given as ${label(name)} ${fixed[name]} too; give one of them`,
    )
  if (d.kind !== 'choice' && setting.kind !== 'number')
    throw new UserError(`${where} is not a number; give a list of values`)
  if ((d.kind === 'log' || d.kind === 'uniform') && setting.kind === 'number' && setting.whole)
    throw new UserError(
      `${where}: ${label(name)} takes whole numbers; give {"int": [${d.low}, ${d.high}]} or a list`,
    )
  for (const value of samples(d)) {
    // One value stands for a list of one, as on the command line.
    const asList = setting.kind === 'numbers' && typeof value === 'number' ? [value] : value
    checkSetting(where, setting, asList)
  }
}
