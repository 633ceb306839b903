import { UserError } from '../graph/errors.ts'
import { type ImageSource, imageSource, labelsFor } from './dataset.ts'
import { type Ink, inkOf, mostOf } from './digit.ts'
import { heldOut } from './held-out.ts'
import { pixelsOf } from './image-web.ts'
import {
  grayscale,
  type ImageShape,
  imageShape,
  type Preprocessing,
  type PreprocessingKind,
  preprocess,
  RESIZE,
} from './preprocess.ts'

/** Drawings that are looked at to see what ink a data set has. */
const DRAWINGS = 256

/** A picture and the class that it shows. */
export interface LabelledFile {
  readonly label: string
  readonly file: File
}

/**
 * A user's own pictures, one folder for each class, as data: what `<input type="file" webkitdirectory>` gives, or files with
 * their labels. A fifth of each class is held out to test.
 * @param shape what the model takes: `[channels, height, width]`
 * @param preprocessing how each is prepared; the ink of digits, where it is not known, is what most of them have. @default { kind: 'resize' }
 * @throws UserError that names the file which is no picture, or says what is missing
 */
export async function imageFolder(
  files: readonly (File | LabelledFile)[],
  shape: ImageShape,
  preprocessing: { readonly kind: PreprocessingKind } | Preprocessing = RESIZE,
): Promise<ImageSource> {
  // Systems put hidden files of their own into folders.
  const pictures = files
    .map(labelled)
    .filter(({ file }) => !/^(\.|Thumbs\.db$|desktop\.ini$)/i.test(file.name))
  const classes = [...new Set(pictures.map(p => p.label))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  if (classes.length < 2)
    throw new UserError(
      `the pictures are of ${classes.length} class${classes.length ? `, ${classes[0]}` : 'es'}; choose a folder that has a folder of pictures for each of two classes or more`,
    )
  const wanted = imageShape(shape, 'the pictures')
  const how = await settled(preprocessing, pictures)
  const pixels = shape.reduce((a, b) => a * b, 1)
  const labels = labelsFor(classes, pictures.length)
  const images = new Uint8Array(pictures.length * pixels)
  // One after the other: a decoded photograph takes a hundred times the memory of its pixels here.
  for (const [i, { label, file }] of pictures.entries()) {
    images.set(preprocess(await pixelsIn({ label, file }), how, wanted).image, i * pixels)
    labels[i] = classes.indexOf(label)
  }
  const { train, test } = heldOut({ name: 'folder', size: pictures.length, shape, classes, images, labels })
  return { ...imageSource(train, test, `${classes.length} folders`, how), fromPictures: true }
}

const pixelsIn = ({ label, file }: LabelledFile) => pixelsOf(file, `${label}/${file.name}`)

/** With the ink that most drawings have, where it is not known. */
async function settled(
  asked: { readonly kind: PreprocessingKind } | Preprocessing,
  pictures: readonly LabelledFile[],
): Promise<Preprocessing> {
  if (asked.kind !== 'digit') return { kind: asked.kind }
  if ('ink' in asked) return asked
  const step = Math.ceil(pictures.length / DRAWINGS)
  const inks: (Ink | undefined)[] = []
  for (let i = 0; i < pictures.length; i += step) inks.push(inkOf(grayscale(await pixelsIn(pictures[i]!))))
  return { kind: 'digit', ink: mostOf(inks) }
}

function labelled(entry: File | LabelledFile): LabelledFile {
  if ('label' in entry) return entry
  const label = entry.webkitRelativePath.split('/').at(-2)
  if (!label)
    throw new UserError(`${entry.name}: lies in no folder that says its class; choose a folder of folders`)
  return { label, file: entry }
}
