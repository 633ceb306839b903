// Tensors and nodes hold each other, so that their types stand in one file.
export type { AnyTensor, Tensor } from './node.ts'
