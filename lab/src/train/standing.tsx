import type { LabClient } from '../client.ts'
import { count, duration, percent } from '../ui/text.ts'
import { Curves } from './curves.tsx'

/** Progress, metrics and speed of the run. */
export function Standing({ lab }: { readonly lab: LabClient }) {
  const state = lab.running.value
  const progress = lab.progress.value
  return (
    <section class="card standing" aria-labelledby="standing-title">
      <div class="title">
        <h2 id="standing-title">{titleOf(lab)}</h2>
        <Controls lab={lab} />
      </div>
      {state === 'idle' && !progress ? (
        <Welcome />
      ) : (
        <>
          <progress
            aria-label="Training steps"
            max={progress?.steps ?? 1}
            {...(progress ? { value: progress.step } : {})}
          />
          <dl class="tiles">
            <Tile name="Step" value={progress ? `${count(progress.step)} / ${count(progress.steps)}` : '–'} />
            <Tile
              name="Loss"
              value={progress ? progress.loss.toFixed(3) : '–'}
              more="mean of the epoch so far"
            />
            <Tile
              name="Accuracy"
              value={progress ? percent(progress.accuracy) : '–'}
              more="on the training data"
            />
            <Tile
              name="Speed"
              value={progress ? `${count(Math.round(progress.imagesPerSecond))} img/s` : '–'}
              more={lab.device.value === 'webgpu' ? 'on the GPU' : 'on the CPU'}
            />
            <Tile
              name="Time left"
              value={progress && state !== 'idle' ? duration(progress.secondsLeft) : '–'}
            />
          </dl>
          <Curves lab={lab} />
        </>
      )}
    </section>
  )
}

/** What the lab offers, shown before anything has been trained. */
function Welcome() {
  return (
    <>
      <p>
        One TypeScript program defines the model, its gradient and its optimizer as one ONNX graph, which the
        stock ONNX Runtime runs here in your browser. Nothing is installed, and nothing leaves this page.
      </p>
      <ol class="steps">
        <li>
          <b>Train</b>
          <p>
            With the bundled digits the lecture’s ViT reads nine out of ten correctly after a minute; with all
            of MNIST, 98 out of 100. Or fine-tune an .onnx file on a folder of your own pictures.
          </p>
        </li>
        <li>
          <b>See</b>
          <p>Patches, embeddings and attention heads: how the model reads one digit, step by step.</p>
        </li>
        <li>
          <b>Try</b>
          <p>Draw a digit and see what the model reads and where it looks.</p>
        </li>
        <li>
          <b>Keep</b>
          <p>Save the model as an .onnx file that gives the same results everywhere.</p>
        </li>
      </ol>
    </>
  )
}

function titleOf(lab: LabClient): string {
  const progress = lab.progress.value
  const state = lab.running.value
  if (state !== 'idle' && !progress) return 'Compiling the training step …'
  if (!progress) return 'Train a model in this page'
  const { epoch, epochs, step, steps } = progress
  if (state === 'idle')
    return step === steps ? `Done: ${epochs} epochs` : `Stopped in epoch ${epoch} of ${epochs}`
  return `${state === 'paused' ? 'Paused in epoch' : 'Epoch'} ${epoch} of ${epochs}`
}

/** Pause, continue and stop. */
export function Controls({ lab }: { readonly lab: LabClient }) {
  const state = lab.running.value
  if (state === 'idle') return null
  return (
    <div class="controls">
      {state === 'training' ? (
        <button type="button" class="button" disabled={!lab.progress.value} onClick={() => void lab.pause()}>
          Pause
        </button>
      ) : (
        <button type="button" class="button primary" onClick={() => void lab.continue()}>
          Continue
        </button>
      )}
      <button type="button" class="button" onClick={() => void lab.stop()}>
        Stop
      </button>
    </div>
  )
}

function Tile({
  name,
  value,
  more,
}: {
  readonly name: string
  readonly value: string
  readonly more?: string
}) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>{value}</dd>
      {more && <dd class="quiet">{more}</dd>}
    </div>
  )
}
