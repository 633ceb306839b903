import { writePictures } from '../test/web/pictures.ts'

// Takes the pictures in docs/img: the lab, a report, a shape error in an editor. It trains the lecture's ViT on MNIST first, and needs
// Chromium. Takes about two minutes.

await writePictures()
