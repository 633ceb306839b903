import { expect, test, vi } from 'vitest'
import { nodeRuntime } from '../../src/runtime/node.ts'

vi.mock('onnxruntime-node', () => {
  throw new Error('Error loading shared library ld-linux-x86-64.so.2')
})

const problem = (): Promise<string> =>
  nodeRuntime('cpu').then(
    () => 'none',
    (error: Error) => error.message,
  )

test.runIf(process.platform === 'linux')(
  'a Linux without glibc is told to be the cause where the runtime cannot be loaded',
  async () => {
    const here = await problem()
    expect(here).toMatch(/^onnxruntime-node cannot be loaded \(/)
    expect(here).not.toContain('musl')
    const report = process.report.getReport() as { header: object }
    vi.spyOn(process.report, 'getReport').mockReturnValue({
      ...report,
      header: { ...report.header, glibcVersionRuntime: undefined },
    })
    expect(await problem()).toMatch(
      /; its native library needs glibc, and this Linux has musl .* --device wasm$/,
    )
  },
)
