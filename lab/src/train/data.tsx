import { type Signal, useSignal } from '@preact/signals'
import type { PreprocessingKind } from '../../../src/data/preprocess.ts'
import type { LabClient } from '../client.ts'
import type { DataChoice } from '../protocol.ts'
import { Choice, Pick, Select } from '../ui/field.tsx'
import { count } from '../ui/text.ts'
import { chooseData, FILE, form, found, readData } from './form.ts'

const SIDES = { 28: '28 × 28', 32: '32 × 32', 64: '64 × 64' } as const
const PREPARED: Readonly<Record<PreprocessingKind, string>> = {
  resize: 'Shorter side resized, center crop',
  stretch: 'Stretched',
  digit: 'Digits, as in MNIST',
}
const COLOURS = { 1: 'Gray', 3: 'Colour' } as const

const KINDS: Readonly<Record<DataChoice['kind'], string>> = {
  bundled: '10,000 digits of MNIST',
  idx: 'MNIST files',
  folders: 'Your own pictures',
}

/** Paths are not sent along with files; the name of the chosen folder comes first in them. */
const placed = (files: readonly File[]): DataChoice => ({
  kind: 'folders',
  files: files.map(file => ({ path: file.webkitRelativePath.split('/').slice(1).join('/'), file })),
  preprocess: form.preprocess.value,
})

/** Where the examples come from. */
export function DataPart({ lab }: { readonly lab: LabClient }) {
  // Files are chosen after their kind; until then the data stay as they are.
  const asked = useSignal<DataChoice['kind'] | undefined>(undefined)
  const kind = asked.value ?? form.data.value.kind
  const choose = (choice: DataChoice) => {
    asked.value = undefined
    void chooseData(lab, choice)
  }
  return (
    <>
      <Choice
        name="data"
        title={KINDS.bundled}
        checked={kind === 'bundled'}
        onChoose={() => choose({ kind: 'bundled' })}
      />
      <Choice name="data" title={KINDS.idx} checked={kind === 'idx'} onChoose={() => ask(asked, 'idx')}>
        {kind === 'idx' && (
          <>
            <p>
              The four IDX files, plain or gzipped, or one pair of images and labels, of which a fifth is held
              out.
            </p>
            <Pick label="Choose files …" quiet multiple onPick={files => choose({ kind: 'idx', files })} />
          </>
        )}
      </Choice>
      <Choice
        name="data"
        title={KINDS.folders}
        checked={kind === 'folders'}
        onChoose={() => ask(asked, 'folders')}
      >
        {kind === 'folders' && (
          <>
            <p>
              A folder with one subfolder of pictures per class, of which a fifth is held out, or with train
              and test folders of this form.
            </p>
            <PictureSize lab={lab} />
            <Pick label="Choose a folder …" quiet folder onPick={files => choose(placed(files))} />
          </>
        )}
      </Choice>
      <FoundLine waiting={asked.value !== undefined} />
    </>
  )
}

function ask(asked: Signal<DataChoice['kind'] | undefined>, kind: DataChoice['kind']): void {
  asked.value = form.data.value.kind === kind ? undefined : kind
}

/** What pictures are made into. */
function PictureSize({ lab }: { readonly lab: LabClient }) {
  const again = () => {
    if (form.data.value.kind === 'folders') void readData(lab)
  }
  return (
    <div class={form.preset.value === FILE ? 'fields whole' : 'fields wide'}>
      {/* A file that is fine-tuned takes pictures of its own size. */}
      {form.preset.value !== FILE && (
        <>
          <Select
            label="Size"
            value={String(form.side.value)}
            options={SIDES}
            onChange={side => {
              form.side.value = Number(side)
              again()
            }}
          />
          <Select
            label="Color"
            value={String(form.channels.value)}
            options={COLOURS}
            onChange={channels => {
              form.channels.value = channels === '3' ? 3 : 1
              again()
            }}
          />
        </>
      )}
      <Select
        label="Preprocessing"
        value={form.preprocess.value}
        options={PREPARED}
        onChange={preprocess => {
          form.preprocess.value = preprocess
          const { value: data } = form.data
          if (data.kind === 'folders') form.data.value = { ...data, preprocess }
          again()
        }}
      />
    </div>
  )
}

/** @param waiting for files to be chosen: what was found before does not count */
function FoundLine({ waiting }: { readonly waiting: boolean }) {
  const now = found.value
  if (waiting)
    return <p class="found quiet">Or drop them anywhere on the page. Nothing leaves this browser.</p>
  if (now.state === 'reading')
    return (
      <p class="found quiet" role="status">
        Reading the data …
      </p>
    )
  if (now.state === 'failed')
    return (
      <p class="found problem" role="alert">
        {now.reason}
      </p>
    )
  const { train, test, shape, classes, notice } = now.about
  const [channels, height, width] = shape
  return (
    <p class="found" role="status">
      {count(train)} to train on, {count(test)} held out
      <span class="quiet">
        {' '}
        · {height} × {width}
        {channels === 3 ? ' in colour' : ''} · {classes.length} classes{notice && ` · ${notice}`}
      </span>
    </p>
  )
}
