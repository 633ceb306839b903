import { useSignal } from '@preact/signals'
import type { LabClient, Saved } from '../client.ts'
import type { CheckpointAbout, DataAbout } from '../protocol.ts'
import { Field } from '../ui/field.tsx'
import { count } from '../ui/text.ts'
import { form, found } from './form.ts'

/** A training that can go on from where it was left. */
export function GoOn({ lab, saved }: { readonly lab: LabClient; readonly saved: Saved }) {
  const { settings, step, epoch } = saved.about
  const text = useSignal<string | undefined>(undefined)
  const done = epoch >= settings.epochs
  const value = text.value ?? String(done ? epoch + 1 : settings.epochs)
  const epochs = Number(value)
  const fine = Number.isInteger(epochs) && epochs > epoch && epochs <= 1000
  const data = found.value
  const misfit = data.state === 'ready' ? whyNot(saved.about, data.about) : 'Reading the data …'
  const go = () => void lab.train({ ...settings, epochs, device: form.device.value }, form.data.value, true)
  return (
    <div class="go-on">
      <p>
        <b>Go on with {saved.file ?? 'this training'}</b>
        <br />
        <span class="quiet">
          {settings.model.name}, {count(step)} steps,{' '}
          {done ? `all ${epoch}` : `${epoch} of ${settings.epochs}`} epochs done
        </span>
      </p>
      <div class="row">
        <Field
          label="Until epoch"
          value={value}
          problem={fine ? undefined : `a whole number above ${epoch}, at most 1,000`}
          onInput={given => {
            text.value = given
          }}
        />
        <button type="button" class="button primary" disabled={!fine || Boolean(misfit)} onClick={go}>
          Continue
        </button>
      </div>
      {misfit && <p class="problem">{misfit}</p>}
    </div>
  )
}

/** Why a run cannot go on with data; nothing where it can. */
function whyNot({ classes, settings }: CheckpointAbout, data: DataAbout): string | undefined {
  const { image, channels } = settings.model.config as { image: number; channels: number }
  const shape = [channels, image, image]
  if (classes.length !== data.classes.length)
    return `It was trained on ${classes.length} classes; the data below have ${data.classes.length}.`
  if (shape.join() !== data.shape.join())
    return `It takes images of ${shape.join(' × ')}; the data below have ${data.shape.join(' × ')}.`
  return undefined
}
