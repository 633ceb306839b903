import { render } from 'preact'
import { App } from './app.tsx'
import { LabClient } from './client.ts'
import { takeDrops } from './drop.ts'
import { startWith } from './start.ts'
import LabWorker from './worker/main.ts?worker'

declare global {
  interface Window {
    /** What the page can do, for the browser's console and for tests. */
    lab: LabClient
  }
}

// The worker's script lies elsewhere than the page, whose files it needs: its name says where.
const lab = new LabClient(() => new LabWorker({ name: document.baseURI }))
window.lab = lab
const app = document.getElementById('app')
if (!app) throw new Error('internal: the page has no #app')
app.replaceChildren()
render(<App lab={lab} />, app)
takeDrops(lab)
void startWith(lab)
