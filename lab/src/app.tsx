import { keysOf } from '../../src/graph/keys.ts'
import { nth } from '../../src/graph/present.ts'
import type { LabClient } from './client.ts'
import { openModel } from './drop.ts'
import { KeepView } from './keep/index.tsx'
import { SeeView } from './see/index.tsx'
import { chooseBase } from './train/form.ts'
import { TrainView } from './train/index.tsx'
import { Controls } from './train/standing.tsx'
import { TryView } from './try/index.tsx'
import { Pick } from './ui/field.tsx'
import { byteSize, count, percent } from './ui/text.ts'

const TABS = {
  train: { title: 'Train', View: TrainView },
  see: { title: 'See', View: SeeView },
  try: { title: 'Try', View: TryView },
  keep: { title: 'Keep', View: KeepView },
} as const
const NAMES = keysOf(TABS)

/** The page: a header with its four views, the model they are about, and what the page runs on. */
export function App({ lab }: { readonly lab: LabClient }) {
  const name = lab.tab.value
  const { View } = TABS[name]
  return (
    <>
      <a class="skip" href="#main">
        Skip to the view
      </a>
      <header class="top">
        <div class="bar">
          <p class="brand">
            <span class="mark" aria-hidden="true" />
            onnxgrad <b>lab</b>
          </p>
          <Tabs lab={lab} />
          <Running lab={lab} />
        </div>
      </header>
      <ModelBar lab={lab} />
      <Message lab={lab} />
      <main id="main">
        <div id="view" role="tabpanel" aria-labelledby={`tab-${name}`} key={name}>
          <View lab={lab} />
        </div>
      </main>
      <Footer lab={lab} />
    </>
  )
}

function Tabs({ lab }: { readonly lab: LabClient }) {
  const move = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!by) return
    event.preventDefault()
    const next = nth(NAMES, (NAMES.indexOf(lab.tab.value) + by + NAMES.length) % NAMES.length)
    lab.tab.value = next
    document.getElementById(`tab-${next}`)?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label="Views" onKeyDown={move}>
      {NAMES.map(name => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={lab.tab.value === name}
          aria-controls="view"
          tabIndex={lab.tab.value === name ? 0 : -1}
          onClick={() => {
            lab.tab.value = name
          }}
        >
          {TABS[name].title}
        </button>
      ))}
    </div>
  )
}

/** The training under way, for all views but the one that shows it at length. */
function Running({ lab }: { readonly lab: LabClient }) {
  const progress = lab.progress.value
  if (lab.running.value === 'idle' || lab.tab.value === 'train' || !progress) return null
  return (
    <div class="running">
      <span>
        Epoch {progress.epoch} / {progress.epochs} · {percent(progress.accuracy)}
      </span>
      <Controls lab={lab} />
    </div>
  )
}

/** The model that all views are about. */
function ModelBar({ lab }: { readonly lab: LabClient }) {
  const about = lab.about.value
  const facts = about && [
    about.name,
    ...(about.model ? [about.model.name] : []),
    about.bytes === undefined ? `${count(about.parameters)} parameters` : byteSize(about.bytes),
    ...(about.testAccuracy === undefined ? [] : [`test accuracy ${percent(about.testAccuracy)}`]),
  ]
  return (
    <section class="model-bar" aria-label="Model">
      <p id="model">{facts ? facts.join(' · ') : 'No model yet: train one, or open a file'}</p>
      <div class="row">
        <OtherModel lab={lab} />
        <FineTune lab={lab} />
        <Pick
          id="file"
          label="Open a model …"
          accept=".onnx,.safetensors"
          quiet
          onPick={([file]) => {
            if (file) void openModel(lab, file)
          }}
        />
      </div>
    </section>
  )
}

/** Where a file is open and a model was trained too, the one that the views are not about. */
function OtherModel({ lab }: { readonly lab: LabClient }) {
  const other = lab.which.value === 'file' ? 'run' : 'file'
  const name = lab.models.value[other]
  if (!name) return null
  return (
    <button type="button" onClick={() => void lab.attempt(lab.ask('use', other))}>
      {other === 'run' ? 'Back to the model trained here' : `Switch to ${name}`}
    </button>
  )
}

/** Makes the file that is open the start of a training. */
function FineTune({ lab }: { readonly lab: LabClient }) {
  const file = lab.file.value
  if (!file?.name.endsWith('.onnx') || lab.which.value !== 'file' || lab.running.value !== 'idle') return null
  return (
    <button
      type="button"
      id="fine-tune"
      onClick={() => {
        lab.tab.value = 'train'
        void chooseBase(lab, file)
      }}
    >
      Fine-tune this model
    </button>
  )
}

function Message({ lab }: { readonly lab: LabClient }) {
  const message = lab.message.value
  return (
    <div class="message" data-kind={message?.kind} hidden={!message}>
      <p id="message" role={message?.kind === 'error' ? 'alert' : 'status'}>
        {message?.text}
      </p>
      <button type="button" class="close" aria-label="Close the message" onClick={() => lab.say('')}>
        ×
      </button>
    </div>
  )
}

/** What the page computes with; the choice of a device in Train says more. */
function Footer({ lab }: { readonly lab: LabClient }) {
  const [wasm, gpu] = (['wasm', 'webgpu'] as const).map(name => lab.devices.value.find(d => d.name === name))
  const threads = wasm?.detail?.split(';')[0]
  const about = [
    `onnxruntime-web ${lab.runtime.value}`,
    `WebAssembly, ${crossOriginIsolated ? threads : `${threads} (this page is not cross-origin isolated, so the browser allows no more)`}`,
    `WebGPU ${gpu?.available ? `on ${gpu.detail}` : 'not available'}`,
  ]
  return (
    <footer id="runtime" class="quiet">
      {lab.runtime.value ? about.join(' · ') : 'Loading the runtime …'}
    </footer>
  )
}
