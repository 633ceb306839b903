import { defineConfig } from 'vitest/config'

/** What takes minutes has names of its own, `*.long.test.ts`, and runs under `npm run test:long`. */
export const LONG = 'test/**/*.long.test.ts'

export const LIMITS = { testTimeout: 120_000, hookTimeout: 120_000 }

/** For all projects. */
export const RUN = {
  globalSetup: ['test/global-setup.ts'],
  // Most tests wait for a program, a browser or the runtime's thread, and leave a worker's core free.
  maxWorkers: 2,
}

/** Their files leave nothing behind in a process, so that many share one, which imports the library once. */
const SHARING = ['test/{data,graph,ort,report,train,tune}/**/*.test.ts']
/** The first prints the ops in the order of their imports; the others define ops, which tests of all ops would see. */
const UNSHARED = ['test/ort/docs.test.ts', 'test/ort/custom-op.test.ts', 'test/graph/autodiff.test.ts']

export default defineConfig({
  test: {
    ...RUN,
    projects: [
      {
        test: { ...LIMITS, name: 'sharing', include: SHARING, exclude: [LONG, ...UNSHARED], isolate: false },
      },
      {
        test: {
          ...LIMITS,
          name: 'alone',
          include: ['test/!(data|graph|ort|report|train|tune)/**/*.test.ts', ...UNSHARED],
          exclude: [LONG],
        },
      },
    ],
  },
})
