export { average, ratio } from './average.ts'
export { accuracy, type ClassificationOptions, classification } from './classification.ts'
export { type DistillationOptions, distillation } from './distillation.ts'
export { type LanguageModelOptions, languageModel } from './language-model.ts'
export { bceWithLogits, type CrossEntropyOptions, crossEntropy, huber, l1, l2, mse } from './losses.ts'
export { type MultiLabelOptions, multiLabel } from './multi-label.ts'
export type { Objective } from './objective.ts'
export { type RegressionOptions, regression } from './regression.ts'
export { type SegmentationOptions, segmentation } from './segmentation.ts'
export {
  type MetricSpecs,
  type ObjectiveSpec,
  type TargetSpec,
  type TargetSpecs,
  type Task,
  type TaskContext,
  type TaskSpec,
  type TracedObjective,
  type TracedTask,
  task,
} from './task.ts'
