import type { LabClient, Tab } from './client.ts'
import { readData } from './train/form.ts'

const TABS: readonly Tab[] = ['train', 'see', 'try', 'keep']

/** Follows the address: `#see` opens See, and the address follows the view. */
function followAddress(lab: LabClient): void {
  const read = () => {
    const tab = TABS.find(name => `#${name}` === location.hash)
    if (tab) lab.tab.value = tab
  }
  read()
  addEventListener('hashchange', read)
  lab.tab.subscribe(tab => {
    if (location.hash.slice(1) !== tab) history.replaceState(null, '', `#${tab}`)
  })
}

/** Loads the runtime, the model that the address names or that lies beside the page, and the bundled digits. */
export async function startWith(lab: LabClient): Promise<void> {
  const asked = location.hash
  followAddress(lab)
  const state = await lab.attempt(lab.ask('devices'))
  if (state) {
    lab.runtime.value = state.runtime
    lab.devices.value = state.devices
  }
  const given = new URLSearchParams(location.search).get('model')
  if (given) await openGiven(lab, given)
  else await openBeside(lab)
  if (lab.about.value && !asked) lab.tab.value = 'try'
  await readData(lab)
}

/** The model at `?model=URL`, of this origin only. */
async function openGiven(lab: LabClient, given: string): Promise<void> {
  const url = new URL(given, location.href)
  if (url.origin !== location.origin)
    return lab.say(
      `${url.href}: this page loads models only from its own origin, ${location.origin}`,
      'error',
    )
  const name = url.pathname.split('/').at(-1) || url.pathname
  const answer = await fetch(url).catch(() => undefined)
  if (answer?.ok) return lab.open(name, new Uint8Array(await answer.arrayBuffer()))
  lab.say(
    `${name}: ${answer ? `the server responded with ${answer.status}` : 'the server does not respond'}`,
    'error',
  )
}

/** Opens the files of a run that `onnxgrad serve` puts beside the page; without a run, they are empty. */
async function openBeside(lab: LabClient): Promise<void> {
  const [model, checkpoint] = await Promise.all(['model.onnx', 'checkpoint.safetensors'].map(bytesBeside))
  if (model?.length) await lab.open('model.onnx', model)
  if (checkpoint?.length) await lab.offer('checkpoint.safetensors', checkpoint)
}

async function bytesBeside(name: string): Promise<Uint8Array | undefined> {
  const answer = await fetch(name).catch(() => undefined)
  return answer?.ok ? new Uint8Array(await answer.arrayBuffer()) : undefined
}
