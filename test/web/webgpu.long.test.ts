import { testTraining } from './webgpu-training.ts'

testTraining('lecture', 10, 1 / 2)
