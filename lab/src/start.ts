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

/** Loads the runtime, the model that the address names and the bundled digits. */
export async function startWith(lab: LabClient): Promise<void> {
  const asked = location.hash
  followAddress(lab)
  const state = await lab.attempt(lab.ask('devices'))
  if (state) {
    lab.runtime.value = state.runtime
    lab.devices.value = state.devices
  }
  const given = await openGiven(lab)
  if (given && !asked) lab.tab.value = 'try'
  await readData(lab)
}

/** The model at `?model=URL`, of this origin only. */
async function openGiven(lab: LabClient): Promise<boolean> {
  const given = new URLSearchParams(location.search).get('model')
  if (!given) return false
  const url = new URL(given, location.href)
  if (url.origin !== location.origin) {
    lab.say(`${url.href}: this page loads models of its own origin only, ${location.origin}`, 'error')
    return false
  }
  const name = url.pathname.split('/').at(-1) || url.pathname
  const answer = await fetch(url).catch(() => undefined)
  if (!answer?.ok) {
    lab.say(
      `${name}: ${answer ? `the server answers ${answer.status}` : 'the server does not answer'}`,
      'error',
    )
    return false
  }
  await lab.open(name, new Uint8Array(await answer.arrayBuffer()))
  return lab.about.value !== undefined
}
