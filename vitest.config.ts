import { defineConfig } from 'vitest/config'

/** What takes minutes has names of its own, `*.long.test.ts`, and runs under `npm run test:long`. */
export const LONG = 'test/**/*.long.test.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [LONG],
    globalSetup: ['test/global-setup.ts'],
    // Most tests wait for a program, a browser or the runtime's thread, and leave a worker's core free.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
