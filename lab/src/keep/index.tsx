import { useSignal } from '@preact/signals'
import { shownName } from '../../../src/graph/printable.ts'
import type { LabClient } from '../client.ts'
import { openModel } from '../drop.ts'
import { form } from '../train/form.ts'
import { Pick } from '../ui/field.tsx'
import { byteSize, count, percent } from '../ui/text.ts'
import './keep.css'

/** Gives bytes to the user as a file. */
function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart]))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser reads it after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** Download and open models and runs. */
export function KeepView({ lab }: { readonly lab: LabClient }) {
  return (
    <div class="keep">
      <ModelCard lab={lab} />
      <div class="stack">
        <RunCard lab={lab} />
        <OpenCard lab={lab} />
      </div>
    </div>
  )
}

/** A model's name in that of a file, and in a program: a file that was opened may name it as it likes. */
const fileName = (model = 'model'): string => model.replace(/[^\w.-]+/g, '-')

function ModelCard({ lab }: { readonly lab: LabClient }) {
  const about = lab.about.value
  const kept = useSignal('')
  const save = async () => {
    const bytes = await lab.attempt(lab.ask('onnx'))
    if (!about || !bytes) return
    const name = about.name.endsWith('.onnx') ? about.name : `${fileName(about.model?.name)}.onnx`
    download(name, bytes)
    kept.value = `${name}, ${byteSize(bytes.length)}`
  }
  const input = about?.input.join(', ')
  return (
    <section class="card" aria-labelledby="keep-model">
      <h2 id="keep-model">The model</h2>
      {about ? (
        <dl class="facts">
          <Fact name="Model" value={about.name} />
          <Fact name="Parameters" value={count(about.parameters)} />
          <Fact name="Takes" value={`image, float32 [batch, ${input}], pixels in [0, 1]`} />
          <Fact name="Gives" value={`logits, float32 [batch, ${about.classes.length}]`} />
          {about.testAccuracy !== undefined && (
            <Fact name="Held out" value={percent(about.testAccuracy, 2)} />
          )}
        </dl>
      ) : (
        <p class="quiet">No model yet: train one, or open a file.</p>
      )}
      <button
        type="button"
        id="save-onnx"
        class="button primary"
        disabled={!about}
        onClick={() => void save()}
      >
        Download .onnx
      </button>
      <p class="quiet" role="status">
        {kept.value && `Saved ${kept.value}`}
      </p>
      <p class="quiet">
        One file with weights and normalization inside. It runs wherever ONNX Runtime does, with the same
        results as on this page:
      </p>
      <pre>
        <code>{`import { InferenceSession, Tensor } from 'onnxruntime-node'

const model = await InferenceSession.create('${fileName(about?.model?.name)}.onnx')
const image = new Tensor('float32', pixels, [1, ${input ?? '1, 28, 28'}])
const { logits } = await model.run({ image })`}</code>
      </pre>
    </section>
  )
}

function RunCard({ lab }: { readonly lab: LabClient }) {
  const saved = lab.saved.value
  const kept = useSignal('')
  const busy = lab.running.value !== 'idle'
  const model = saved ? fileName(saved.about.model.name) : 'run'
  const save = async () => {
    const bytes = busy ? await lab.attempt(lab.ask('checkpoint')) : saved?.bytes
    if (!bytes) return
    const name = `${model}.safetensors`
    download(name, bytes)
    kept.value = `${name}, ${byteSize(bytes.length)}`
  }
  const step = busy ? lab.progress.value?.step : saved?.about.step
  return (
    <section class="card" aria-labelledby="keep-run">
      <h2 id="keep-run">The run</h2>
      <p>
        A checkpoint holds the parameters, the optimizer’s moments and all settings, so that training resumes
        exactly where it stopped{saved?.about.file ? '.' : ', here or in Node.'}
      </p>
      <dl class="facts">
        <Fact
          name="Progress"
          value={step === undefined ? 'nothing has been trained yet' : `step ${count(step)}`}
        />
      </dl>
      <div class="row">
        <button
          type="button"
          id="save-checkpoint"
          class="button primary"
          disabled={!saved && !busy}
          onClick={() => void save()}
        >
          Download checkpoint
        </button>
        {saved && !busy && (
          <button
            type="button"
            class="button"
            onClick={() => {
              lab.tab.value = 'train'
            }}
          >
            Resume …
          </button>
        )}
      </div>
      <p class="quiet" role="status">
        {kept.value && `Saved ${kept.value}`}
      </p>
      {saved?.about.file ? (
        <p class="quiet">
          It fine-tunes {shownName(saved.about.file.name)}, which is needed beside it, and is resumed here.
        </p>
      ) : (
        <>
          <p class="quiet">In Node:</p>
          <pre>
            <code>{`npx onnxgrad train --resume ${model}.safetensors --data ${form.data.value.kind === 'bundled' ? 'digits' : 'FOLDER'}`}</code>
          </pre>
        </>
      )}
    </section>
  )
}

function OpenCard({ lab }: { readonly lab: LabClient }) {
  return (
    <section class="card" aria-labelledby="keep-open">
      <h2 id="keep-open">Open a file</h2>
      <p>
        An <code>.onnx</code> file of this project, to inspect and try, or a checkpoint (
        <code>.safetensors</code>), to resume. Files can be dropped anywhere on the page.
      </p>
      <Pick
        label="Choose a file …"
        accept=".onnx,.safetensors"
        onPick={([file]) => {
          if (file) void openModel(lab, file)
        }}
      />
      <p class="quiet">Files are read only in this page. Nothing is sent anywhere.</p>
    </section>
  )
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
