import { type DeviceInfo, download, type Prediction, type Progress, type WebDeviceName } from 'onnxgrad/web'
import type { Question } from './worker.ts'

interface Answer {
  readonly devices?: readonly DeviceInfo[]
  readonly progress?: Progress
  readonly accuracy?: number
  readonly onnx?: Uint8Array
  readonly prediction?: Prediction
  readonly error?: string
}

const part = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E
const device = part<HTMLSelectElement>('device')
const button = (id: string) => part<HTMLButtonElement>(id)
const [start, stop, save] = [button('train'), button('stop'), button('save')]
const picture = part<HTMLInputElement>('picture')
const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
const ask = (question: Question) => worker.postMessage(question)
const say = (text: string) => {
  part('message').textContent = text
}
let onnx: Uint8Array | undefined

worker.onmessage = ({ data }: MessageEvent<Answer>) => {
  for (const { name, available, reason, detail } of data.devices ?? []) {
    const option = new Option(`${name}: ${detail ?? reason}`, name)
    option.disabled = !available
    device.add(option)
  }
  if (data.progress) part('loss').textContent = data.progress.mean.loss.toFixed(3)
  if (data.onnx) {
    onnx = data.onnx
    say(`${(100 * Number(data.accuracy)).toFixed(1)} % of the held-out digits are right.`)
  }
  if (data.prediction) say(`This is a ${data.prediction.name}.`)
  if (data.error) say(data.error)
  if (data.devices || data.onnx || data.error) training(false)
}

function training(now: boolean): void {
  start.disabled = now
  stop.disabled = !now
  save.disabled = now || !onnx
  picture.disabled = now || !onnx
}

start.onclick = () => {
  training(true)
  say('')
  const epochs = Number(new URLSearchParams(location.search).get('epochs') ?? 3)
  ask({ ask: 'train', device: device.value as WebDeviceName, epochs })
}
stop.onclick = () => ask({ ask: 'stop' })
save.onclick = () => onnx && download(onnx, 'model.onnx')
picture.onchange = () => picture.files?.[0] && ask({ ask: 'predict', picture: picture.files[0] })
ask({ ask: 'devices' })
