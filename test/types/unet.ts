/** A U-Net (Ronneberger et al. 2015) of four scales, with padding: its blocks are checked once for all sizes. */
import { input } from '../../src/graph/leaf.ts'
import { batchNorm2d, conv2d, layer } from '../../src/nn/index.ts'
import { concat, expand, maxPool2d, relu, reshape } from '../../src/ops/index.ts'

/** Two convolutions that keep the image's size, which may be any. */
const block = <In extends number, Out extends number>(inputs: In, outputs: Out) =>
  layer(
    {
      conv1: conv2d(inputs, outputs, 3, { padding: 1, bias: false }),
      norm1: batchNorm2d(outputs),
      conv2: conv2d(outputs, outputs, 3, { padding: 1, bias: false }),
      norm2: batchNorm2d(outputs),
    },
    ['B', inputs, 'H', 'W'],
    (self, x) => relu(self.norm2(self.conv2(relu(self.norm1(self.conv1(x)))))),
  )

/** Each pixel twice in both directions. */
const twice = layer({}, ['B', 'C', 'H', 'W'], (_, x) => {
  const [b, c, h, w] = x.shape
  const rows = reshape(expand(reshape(x, [b, c, h, 1, w]), [b, c, h, 2, w]), [b, c, -1, w])
  const [, , h2] = rows.shape
  return reshape(expand(reshape(rows, [b, c, h2, w, 1]), [b, c, h2, w, 2]), [b, c, h2, -1])
})

const parts = {
  down1: block(1, 64),
  down2: block(64, 128),
  down3: block(128, 256),
  down4: block(256, 512),
  bottom: block(512, 1024),
  up4: block(1536, 512),
  up3: block(768, 256),
  up2: block(384, 128),
  up1: block(192, 64),
  head: conv2d(64, 2, 1),
}

export const unet = layer(parts, ['B', 1, 160, 96], (self, x) => {
  const d1 = self.down1(x)
  const d2 = self.down2(maxPool2d(d1, 2))
  const d3 = self.down3(maxPool2d(d2, 2))
  const d4 = self.down4(maxPool2d(d3, 2))
  const bottom = self.bottom(maxPool2d(d4, 2))
  const u4 = self.up4(concat([twice(bottom), d4], 1))
  const u3 = self.up3(concat([twice(u4), d3], 1))
  const u2 = self.up2(concat([twice(u3), d2], 1))
  const u1 = self.up1(concat([twice(u2), d1], 1))
  return { mask: self.head(u1), bottom }
})

export const { mask, bottom } = unet(input('image', 'float32', ['batch', 1, 160, 96]))

/** What the compiler knows of the results; it must be the graph's own shapes. */
export const shapes: [['batch', 2, 160, 96], ['batch', 1024, 10, 6]] = [mask.shape, bottom.shape]
