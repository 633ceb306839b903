import type { LabClient } from '../client.ts'
import type { BaseAbout } from '../protocol.ts'
import { Pick, Select } from '../ui/field.tsx'
import { count } from '../ui/text.ts'
import { base, keepsHead, misfitOf, PARTS, PARTS_IN_WORDS, part, sizeOf } from './base.ts'
import { chooseFile, found } from './form.ts'

/** The file that is fine-tuned: its choice, what was found in it, and what is trained of it. */
export function BasePart({ lab }: { readonly lab: LabClient }) {
  const now = base.value
  return (
    <>
      <div class="row">
        <Pick
          id="base"
          label={now.state === 'none' ? 'Choose an .onnx file …' : 'Choose another file …'}
          accept=".onnx"
          quiet
          onPick={([file]) => {
            if (file) void chooseFile(lab, file)
          }}
        />
      </div>
      {now.state === 'none' && (
        <p class="base quiet">
          A classifier of pictures, such as one exported from PyTorch. Or drop it anywhere on the page.
        </p>
      )}
      {now.state === 'reading' && (
        <p class="base quiet" role="status">
          Reading {now.name} …
        </p>
      )}
      {now.state === 'failed' && (
        <p class="base problem" role="alert">
          {now.reason}
        </p>
      )}
      {now.state === 'ready' && <Ready about={now.about} />}
    </>
  )
}

function Ready({ about }: { readonly about: BaseAbout }) {
  const { name, input, parameters, classes, notes } = about
  const data = found.value
  const ready = data.state === 'ready' ? data.about : undefined
  const misfit = ready && misfitOf(about, ready)
  return (
    <>
      <p class="base" role="status">
        <bdi>{name}</bdi>
        <span class="quiet">
          {' '}
          · pictures of {sizeOf(input)} · {count(parameters)} parameters · {count(classes)} classes
        </span>
      </p>
      {ready && !misfit && <HeadLine head={keepsHead(about, ready)} classes={ready.classes.length} />}
      {misfit && <p class="problem">{misfit}</p>}
      {notes.map(note => (
        <p key={note} class="quiet">
          {note}.
        </p>
      ))}
      <Select
        label="Trained layers"
        value={part.value}
        options={PARTS}
        onChange={value => {
          part.value = value
        }}
      />
      <p class="quiet">{PARTS_IN_WORDS[part.value]}</p>
    </>
  )
}

function HeadLine({ head, classes }: { readonly head: boolean; readonly classes: number }) {
  return (
    <p class="quiet">
      {head
        ? 'Its classes are those of the data: it keeps its head.'
        : `It gets a new head for the ${classes} classes of the data.`}
    </p>
  )
}
