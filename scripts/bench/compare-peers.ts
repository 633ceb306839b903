import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { lookup } from '../../src/graph/present.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { type Comparison, compare, type Missing, orMissing, recorded } from './compare.ts'
import { compareFiles, SEED, type TorchOnnx } from './inference.ts'
import { PEERS, type Places, startChild, startPyTorch } from './peers/index.ts'
import type { Request } from './peers/protocol.ts'
import { writeStart } from './peers/start.ts'
import { noise, WORKLOADS, type WorkloadName } from './workloads.ts'

export interface PeerOptions {
  readonly peers: readonly string[]
  readonly places: Places
  readonly threads: number | undefined
}

export interface PeerResults {
  readonly peers: Readonly<Record<string, Comparison | Missing>>
  /** Where PyTorch is among the peers. */
  readonly torchOnnx?: TorchOnnx | Missing
}

/** What every participant starts from: a file in `folder`, and what to do with it. */
export async function requestFor(
  workload: WorkloadName,
  folder: string,
  threads: number | undefined,
): Promise<Request> {
  const { model: build, batch } = WORKLOADS[workload]
  const model = build()
  const start = join(folder, 'start.safetensors')
  await writeFile(start, writeStart(model, noise(model, batch, 1), SEED))
  return {
    model: model.name,
    config: model.config,
    start,
    lr: 1e-4,
    threads: threads ?? availableParallelism(),
  }
}

/** Runs a workload's training step beside that of every peer that knows it, each in a process of its own. */
export async function comparePeers(
  workload: WorkloadName,
  runtime: Runtime,
  { peers, places, threads }: PeerOptions,
): Promise<PeerResults> {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-bench-'))
  try {
    const request = await requestFor(workload, folder, threads)
    const results: Record<string, Comparison | Missing> = {}
    const ourselves = await startChild('onnxgrad', request, places.folder)
    const ours = recorded(ourselves)
    for (const name of peers) {
      const peer = lookup(PEERS, name)
      if (!peer.workloads.includes(workload)) continue
      process.stderr.write(`${workload}: beside ${peer.about} …\n`)
      results[name] = await orMissing(peer.install, async () => {
        const other = await peer.start(request, places)
        return compare(ours, name, other).finally(() => other.close())
      })
    }
    await ourselves.close()
    if (!peers.includes('pytorch')) return { peers: results }

    const path = join(folder, 'torch.onnx')
    const torchOnnx = await orMissing('pip install torch onnx onnxscript', async () => {
      await (await startPyTorch(request, places, { export: path })).close()
      return compareFiles(WORKLOADS[workload].model(), runtime, request.threads, path)
    })
    return { peers: results, torchOnnx }
  } finally {
    await rm(folder, { recursive: true })
  }
}
