import { useSignal } from '@preact/signals'
import { useId } from 'preact/hooks'
import { compare } from '../../../src/data/fingerprint.ts'
import { shownName } from '../../../src/graph/printable.ts'
import type { LabClient, Saved } from '../client.ts'
import type { CheckpointAbout, DataAbout } from '../protocol.ts'
import { Field } from '../ui/field.tsx'
import { count } from '../ui/text.ts'
import { base } from './base.ts'
import { form, found } from './form.ts'

/** The saved run that can be resumed. */
export function Resume({ lab, saved }: { readonly lab: LabClient; readonly saved: Saved }) {
  const { model, step, epoch, epochs: planned } = saved.about
  const id = useId()
  const text = useSignal<string | undefined>(undefined)
  const done = epoch >= planned
  const value = text.value ?? String(done ? epoch + 1 : planned)
  const epochs = Number(value)
  const fine = Number.isInteger(epochs) && epochs > epoch && epochs <= 1000
  const data = found.value
  const misfit =
    whyNotFile(saved.about) ??
    (data.state === 'ready' ? whyNot(saved.about, data.about) : 'Reading the data …')
  const go = () => void lab.resume({ device: form.device.value, epochs }, form.data.value)
  return (
    <div class="resume">
      <p>
        <b>Resume {saved.file ?? 'this run'}</b>
        <br />
        <span class="quiet">
          {model.name}, {count(step)} steps, {done ? `all ${epoch}` : `${epoch} of ${planned}`} epochs done
        </span>
      </p>
      <div class="row">
        <Field
          label="Train until epoch"
          value={value}
          wrong={fine ? undefined : id}
          onInput={given => {
            text.value = given
          }}
        />
        <button type="button" class="button primary" disabled={!fine || Boolean(misfit)} onClick={go}>
          Resume
        </button>
      </div>
      {!fine && (
        <p class="problem" id={id}>
          It must be a whole number above {epoch} and at most 1,000.
        </p>
      )}
      {!misfit && !saved.about.fingerprints && (
        <p class="quiet">
          The checkpoint does not describe its data, so it is not checked whether these are the same.
        </p>
      )}
      {misfit && <p class="problem">{misfit}</p>}
    </div>
  )
}

/** Why a run cannot be resumed before its file is chosen; undefined if it can, or has none. */
function whyNotFile({ file }: CheckpointAbout): string | undefined {
  const now = base.value
  if (!file || (now.state === 'ready' && now.about.sha256 === file.sha256)) return undefined
  return `It fine-tunes ${shownName(file.name)}: choose that file below, under Model, to resume.`
}

/** Why a run cannot be resumed with these data; undefined if it can. */
function whyNot(
  { input, classes, images, fingerprints }: CheckpointAbout,
  data: DataAbout,
): string | undefined {
  const differences = fingerprints ? compare(fingerprints, data.fingerprints).differences : []
  if (differences.length)
    return `These are not the data it was trained on: ${differences.join('; ')}. Choose the same data below to resume.`
  const same =
    input.join() === data.shape.join() && classes.join() === data.classes.join() && images === data.train
  if (same) return undefined
  return `It was trained on ${count(images)} images of ${input.join(' × ')} in ${classes.length} classes: choose the same data below to resume.`
}
