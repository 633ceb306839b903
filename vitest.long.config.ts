import { defineConfig } from 'vitest/config'
import { LONG, RUN } from './vitest.config.ts'

export default defineConfig({
  test: { ...RUN, include: [LONG], testTimeout: 600_000, hookTimeout: 600_000 },
})
