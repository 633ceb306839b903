import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('npm run bench measures a workload and names the peers that are missing', () => {
  const flags = [
    '--workload=lenet',
    '--steps=2',
    '--json',
    '--peer',
    'pytorch',
    '--python',
    '/nowhere/python3',
  ]
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'scripts/bench.ts', ...flags],
    {
      encoding: 'utf8',
    },
  )
  expect(status, stderr).toBe(0)
  const { lenet } = JSON.parse(stdout.trim().split('\n').at(-1)!)
  for (const key of [
    'stepMs',
    'floorShare',
    'passesRatio',
    'imagesPerSecond',
    'peakMB',
    'inferencePerSecond',
  ])
    expect(lenet[key], key).toBeGreaterThan(0)
  for (const { missing } of [lenet.peers.pytorch, lenet.torchOnnx])
    expect(missing).toMatch(/\/nowhere\/python3.*pip install torch/)
})
