import { UserError } from '../graph/errors.ts'
import { type Admitted, admit } from './admit.ts'
import { decode } from './codec.ts'
import type { External } from './external.ts'
import { Model, type ModelProto } from './onnx-proto.ts'

/** Options of `readOnnx`. */
export interface ReadOptions {
  /**
   * Returns the bytes of an external file with tensors; in Node `filesBeside(path)`. Without it, such a model is refused.
   */
  readonly external?: External
}

/** Where flatbuffers say what they are; the runtime tells its own format by it. */
const ORT_FORMAT = 'ORTM'

/**
 * @internal
 * The way of all bytes to a runtime, and from elsewhere into the program. Nothing in them is passed over or ambiguous, so
 * that a runtime sees the model that was checked here.
 * @throws UserError when the bytes are not an ONNX model, or one that is dangerous to load: see {@link admit}
 */
export function readModel(
  bytes: Uint8Array,
  name: string,
  { external }: ReadOptions = {},
): Admitted & { readonly proto: ModelProto } {
  if (new TextDecoder('latin1').decode(bytes.subarray(4, 8)) === ORT_FORMAT)
    throw new UserError(
      `${name}: is in ONNX Runtime's own format (.ort); give the .onnx file that it was converted from`,
    )
  if (isText(bytes)) throw new UserError(`${name}: is a text, not an ONNX file`)
  const proto = decode(Model, bytes, name)
  if (!(proto.graph?.node || proto.graph?.output) || !proto.irVersion)
    throw new UserError(`${name}: not an ONNX file (it holds no graph)`)
  return { proto, ...admit(proto, name, external) }
}

/** Enough of a file to tell a text from an ONNX file, which begins with control characters. */
const BEGINNING = 256

function isText(bytes: Uint8Array): boolean {
  const text = new TextDecoder().decode(bytes.subarray(0, BEGINNING))
  return text !== '' && !/[^\P{Cc}\t\n\r]/u.test(text)
}
