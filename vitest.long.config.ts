import { defineConfig } from 'vitest/config'
import short, { LONG } from './vitest.config.ts'

export default defineConfig({
  test: {
    ...short.test,
    include: [LONG],
    exclude: [],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // One after the other: some measure time, all take what the machine has.
    fileParallelism: false,
  },
})
