import { join } from 'node:path'
import type { DataSource } from '../data/dataset.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Task } from '../tasks/task.ts'
import type { Context, Definition, SettingValues } from './definition.ts'
import { recordedDefinition } from './definition-node.ts'
import { RUN_FILES, readRun } from './folder-node.ts'
import type { RunRecord } from './record.ts'
import { configRecord, readConfig } from './saved-node.ts'

/** A run's model, with the data that it was trained and tested on. */
export interface OpenRun {
  readonly trained: TrainedModel
  readonly data: DataSource
  readonly task: Task
  readonly record: Omit<RunRecord, 'step'>
}

/**
 * Reads the model of a run folder, and finds its data again.
 * @param asked `data` or `text`, where the data have been moved @param given the definition of a run that a program trained
 * @throws UserError when a file is missing or damaged, or the data are not found
 */
export async function openRun(
  folder: string,
  asked: SettingValues,
  context: Context,
  given?: Definition,
): Promise<OpenRun> {
  const config = await readConfig(folder)
  const definition = await recordedDefinition(config.model.name, config.module, given)
  const trained = await readRun(folder, (_, own) => definition.build(own), undefined, context.notice)
  const record = configRecord(config, join(folder, RUN_FILES.config))
  const source = fieldsOf(config.source)
  const { data, task } = await definition.reopen(record, source, { ...context, changes: asked, begun: true })
  return { trained, data, task, record }
}
