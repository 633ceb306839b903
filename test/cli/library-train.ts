import { mlp } from '../../models/index.ts'
import { mnist, train } from '../../src/node.ts'

// A program of a user's: trains for an epoch and prints the training accuracy.
const model = mlp({ image: 28, channels: 1, classes: 10, hidden: [8] })
const run = await train(model, { data: await mnist({ data: process.argv[2]! }), epochs: 1 })
console.log(run.train?.accuracy)
