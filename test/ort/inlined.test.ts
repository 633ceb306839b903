import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'
import { expect, it } from 'vitest'

// Vitest's environments that imitate pages have Vite transform modules as for pages, also those of Node that are inlined.
it('modules of Node are such that Vite can transform them as it does for pages', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const server = await createServer({
    ...{ root, configFile: false, logLevel: 'silent', appType: 'custom' },
    server: { middlewareMode: true, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true, include: [] },
  })
  try {
    const { client } = server.environments
    const files = readdirSync(`${root}/src`, { recursive: true, encoding: 'utf8' })
    const ours = files.filter(file => /(node|cli\/[\w-]+)\.ts$/.test(file))
    expect(ours.length).toBeGreaterThan(50)
    for (const file of ours) {
      const done = client.transformRequest(`/src/${file}`).then(
        made => made!.code.length > 0,
        (error: unknown) => error,
      )
      expect([file, await done]).toEqual([file, true])
    }
    expect((await client.transformRequest('/src/runtime/host-node.ts'))!.code).toContain(
      'new URL(name, HERE)',
    )
  } finally {
    await server.close()
  }
})
