/** LeNet-5 of layers with literal sizes: each shape on the way from image to logits is checked. */
import { input } from '../../src/graph/leaf.ts'
import { conv2d, layer, linear } from '../../src/nn/index.ts'
import { maxPool2d, relu, reshape } from '../../src/ops/index.ts'

const parts = {
  conv1: conv2d(1, 6, 5, { padding: 2 }),
  conv2: conv2d(6, 16, 5),
  fc1: linear(400, 120),
  fc2: linear(120, 84),
  fc3: linear(84, 10),
}

const lenet = layer(parts, ['B', 1, 28, 28], (self, x) => {
  const strokes = maxPool2d(relu(self.conv1(x)), 2)
  const shapes = maxPool2d(relu(self.conv2(strokes)), 2)
  const flat = reshape(shapes, [x.shape[0], 400])
  return self.fc3(relu(self.fc2(relu(self.fc1(flat)))))
})

export const logits = lenet(input('image', 'float32', ['batch', 1, 28, 28]))

/** What the compiler knows of the result; it must be the graph's own shape. */
export const shape: ['batch', 10] = logits.shape
