import { useId } from 'preact/hooks'
import { keysOf } from '../../../src/graph/keys.ts'
import type { Setting } from '../../../src/settings/setting.ts'
import type { LabClient } from '../client.ts'
import type { TrainSettings } from '../protocol.ts'
import { Choice, Field, Select } from '../ui/field.tsx'
import { count } from '../ui/text.ts'
import { BasePart } from './base.tsx'
import { DataPart } from './data.tsx'
import {
  choose,
  chooseModel,
  FILE,
  fieldOf,
  form,
  isWhole,
  model,
  modelFields,
  PRESETS,
  problems,
  settings,
  TRAINING,
  textOf,
} from './form.ts'
import { Resume } from './resume.tsx'

const labelsOf = <K extends string>(table: Readonly<Record<K, { readonly label: string }>>) =>
  Object.fromEntries(keysOf(table).map(key => [key, table[key].label])) as Record<K, string>
const MODEL_NAMES = { ...labelsOf(PRESETS), [FILE]: 'A file (.onnx)' }

/** Settings of a run, before it starts. */
export function Setup({ lab }: { readonly lab: LabClient }) {
  const busy = lab.running.value !== 'idle'
  const start = (event: Event) => {
    event.preventDefault()
    const chosen = settings.value
    if (chosen) void lab.train(chosen, form.data.value)
  }
  return (
    <form class="card setup" aria-labelledby="setup-title" onSubmit={start} noValidate>
      <h2 id="setup-title">Setup</h2>
      {lab.saved.value && !busy && <Resume lab={lab} saved={lab.saved.value} />}
      <fieldset disabled={busy}>
        <legend>Data</legend>
        <DataPart lab={lab} />
      </fieldset>
      <fieldset disabled={busy}>
        <legend>Model</legend>
        <Select
          label="Architecture"
          value={form.preset.value}
          options={MODEL_NAMES}
          onChange={preset => void chooseModel(lab, preset)}
        />
        {form.preset.value === FILE ? (
          <BasePart lab={lab} />
        ) : (
          <>
            <Numbers names={modelFields.value} />
            <ModelLine />
          </>
        )}
      </fieldset>
      <fieldset disabled={busy}>
        <legend>Training</legend>
        <Choices />
        <Numbers names={namesOf('number', 'numbers')} wide />
      </fieldset>
      <fieldset disabled={busy}>
        <legend>Device</legend>
        <Devices lab={lab} />
      </fieldset>
      {!busy && (
        <div class="start">
          <button type="submit" class="button primary" disabled={!settings.value}>
            Start training
          </button>
        </div>
      )}
    </form>
  )
}

/** The settings of a training that take values of some kinds. */
const namesOf = (...kinds: readonly Setting['kind'][]): string[] =>
  Object.entries(TRAINING).flatMap(([name, { kind }]) => (kinds.includes(kind) ? [name] : []))

/** Fields for names, and for what is on or off. */
function Choices() {
  return (
    <div class="fields wide">
      {namesOf('choice', 'switch').map(name => {
        const { label, options = { true: 'On', false: 'Off' } } = fieldOf(name)
        return (
          <Select
            key={name}
            label={label}
            value={textOf(name).value}
            options={options}
            onChange={value => choose(name, value)}
          />
        )
      })}
    </div>
  )
}

/** Fields for numbers, with their errors below. */
function Numbers({ names, wide = false }: { readonly names: readonly string[]; readonly wide?: boolean }) {
  const id = useId()
  const wrong = names.filter(name => problems.value[name])
  return (
    <>
      <div class={wide ? 'fields wide' : 'fields'}>
        {names.map(name => {
          const { label, unit } = fieldOf(name)
          const text = textOf(name)
          return (
            <Field
              key={name}
              label={label}
              unit={unit ?? ''}
              mode={isWhole(name) ? 'numeric' : 'decimal'}
              value={text.value}
              wrong={problems.value[name] && `${id}-${name}`}
              onInput={value => choose(name, value)}
            />
          )
        })}
      </div>
      {wrong.map(name => (
        <p key={name} class="problem" id={`${id}-${name}`}>
          <b>{fieldOf(name).label}</b>: {problems.value[name]}
        </p>
      ))}
    </>
  )
}

/** The model that the fields describe. */
function ModelLine() {
  if (!model.value) return null
  const { parameters, problem, config } = model.value
  if (problem) return <p class="problem">{problem}</p>
  if (parameters === undefined) return null
  const { image, patch } = config as { image: number; patch?: number }
  const tokens = patch ? ` · ${(image / patch) ** 2} patches and the CLS token` : ''
  return (
    <p class="quiet">
      {count(parameters)} parameters{tokens}
    </p>
  )
}

const DEVICES: Readonly<Record<TrainSettings['device'], string>> = {
  wasm: 'CPU (WebAssembly)',
  webgpu: 'GPU (WebGPU)',
}

function Devices({ lab }: { readonly lab: LabClient }) {
  const known = lab.devices.value
  if (!known.length) return <p class="quiet">Loading the runtime …</p>
  return (
    <>
      {known.map(({ name, available, reason, detail }) => (
        <Choice
          key={name}
          name="device"
          title={DEVICES[name]}
          checked={form.device.value === name}
          disabled={!available}
          onChoose={() => {
            form.device.value = name
          }}
        >
          {available ? detail : `Not available: ${reason}`}
        </Choice>
      ))}
    </>
  )
}
