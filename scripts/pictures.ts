import { writePictures } from '../test/web/pictures.ts'

// Takes the pictures in docs/img: the lab, a report, a shape error in an editor. Needs Chromium; takes half a minute.

await writePictures()
