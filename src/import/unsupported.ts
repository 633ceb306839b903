import { UserError } from '../graph/errors.ts'

/** A form of an operator that ONNX allows and onnxgrad does not compute. The node may be kept as the file has it. */
export class Unsupported extends UserError {}

/** @throws Unsupported always */
export const unsupported = (message: string): never => {
  throw new Unsupported(message)
}
