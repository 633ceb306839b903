import { testTraining } from './webgpu-training.ts'

// The lecture's ViT: webgpu.long.test.ts.
testTraining('small', 4, 0.95)
