import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import type { Limits } from './isolated-node.ts'

// A thread beside the one that computes, which hears nothing meanwhile: it ends the process when that takes too much memory, or
// when the process that waits for it is gone.

const { memory, parent, sign }: Limits = workerData

const EVERY_MS = 20
const STDERR = 2

setInterval(() => {
  const full = process.memoryUsage.rss() > memory
  if (!full && process.ppid === parent) return
  try {
    if (full) writeSync(STDERR, sign)
  } finally {
    process.kill(process.pid, 'SIGKILL')
  }
}, EVERY_MS)
