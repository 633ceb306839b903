import type { LabClient } from './client.ts'
import type { DataChoice } from './protocol.ts'
import { chooseData, chooseFile, FILE, form } from './train/form.ts'

/** A file and the path of its folder. */
interface Found {
  readonly file: File
  readonly folders: readonly string[]
}

/** Files may be dropped anywhere on the page. */
export function takeDrops(lab: LabClient): void {
  addEventListener('dragover', event => {
    event.preventDefault()
    document.body.dataset.drop = 'over'
  })
  for (const end of ['dragleave', 'drop'] as const)
    addEventListener(end, () => {
      delete document.body.dataset.drop
    })
  addEventListener('drop', event => {
    event.preventDefault()
    const { dataTransfer } = event
    if (dataTransfer) void filesOf(dataTransfer).then(found => takeFiles(lab, found))
  })
}

/** All files of a drop, those in folders too. Reads the entries before anything is awaited, since they go away then. */
async function filesOf({ items, files }: DataTransfer): Promise<Found[]> {
  const entries = [...items].map(item => item.webkitGetAsEntry?.() ?? null)
  if (!entries.some(entry => entry?.isDirectory)) return [...files].map(file => ({ file, folders: [] }))
  const found = await Promise.all(entries.map(entry => (entry ? inside(entry, []) : [])))
  return found.flat()
}

async function inside(entry: FileSystemEntry, folders: readonly string[]): Promise<Found[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    )
    return [{ file, folders }]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const found: Found[] = []
  for (;;) {
    // A reader gives a hundred entries at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (!some.length) return found
    for (const inner of some) found.push(...(await inside(inner, [...folders, entry.name])))
  }
}

const isOnnx = (name: string): boolean => /\.onnx$/i.test(name)
const isModel = (name: string): boolean => /\.(onnx|safetensors)$/i.test(name)
const isIdx = (name: string): boolean => /idx\d?-?u?byte|\.idx|ubyte/i.test(name)

/** Handles files by their kind. */
export async function takeFiles(lab: LabClient, found: readonly Found[]): Promise<void> {
  const [first] = found
  if (!first) return
  const choice = dataIn(found)
  const model = found.find(({ file }) => isModel(file.name))
  const setup = lab.tab.value === 'train' && lab.running.value === 'idle' && form.preset.value === FILE
  // A model is opened to be tried; beside data, or where the form asks for one, it is what is trained.
  if (model && isOnnx(model.file.name) && (choice || setup)) {
    await chooseFile(lab, model.file)
    if (!choice) return
  }
  if (choice) {
    lab.tab.value = 'train'
    await chooseData(lab, choice)
  } else if (model) await openModel(lab, model.file)
  else if (found.length === 1) {
    lab.picture.value = first.file
    lab.tab.value = 'try'
  } else
    lab.say(
      'These files are not a data set: drop MNIST’s IDX files, or a folder with one subfolder of pictures per class',
      'error',
    )
}

function dataIn(found: readonly Found[]): DataChoice | undefined {
  const idx = found.filter(({ file }) => isIdx(file.name)).map(f => f.file)
  if (idx.length) return { kind: 'idx', files: idx }
  const inFolders = found.filter(({ folders }) => folders.length)
  if (!inFolders.length || inFolders.some(({ file }) => isModel(file.name))) return undefined
  // One folder that was dropped holds the data; of several, each is a part of them.
  const tops = new Set(inFolders.map(({ folders }) => folders[0]))
  const from = tops.size === 1 ? 1 : 0
  const files = inFolders.map(({ file, folders }) => ({
    path: [...folders.slice(from), file.name].join('/'),
    file,
  }))
  return { kind: 'folders', files, preprocess: form.preprocess.value }
}

/** Opens a model or a checkpoint that was chosen or dropped. */
export async function openModel(lab: LabClient, file: File): Promise<void> {
  const bytes = await lab.attempt(file.arrayBuffer())
  if (bytes) await lab.open(file.name, new Uint8Array(bytes))
}
