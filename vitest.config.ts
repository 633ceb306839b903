import { defineConfig } from 'vitest/config'

/** What takes minutes has names of its own, `*.long.test.ts`, and runs under `npm run test:long`. */
export const LONG = 'test/**/*.long.test.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [LONG],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
