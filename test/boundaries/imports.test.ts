import { codeOf, files, find, importsOf, read, SERVICES } from './source.ts'

/** Of a relative import, where it leads, relative to the checkout. */
const resolve = (file: string, specifier: string): string => new URL(specifier, `file:///${file}`).pathname.slice(1)
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

test.each(SERVICES)(
  '%s imports nothing of another service: only kernel, contracts, itself and what its package.json names',
  (service) => {
    const manifest = JSON.parse(read(`services/${service}/package.json`)) as { dependencies?: Record<string, string> }
    // zod is what contracts are written in; its version is theirs.
    const allowed = new Set([...Object.keys(manifest.dependencies ?? {}), `@bailiwick/${service}`, 'zod'])
    for (const name of allowed)
      if (name.startsWith('@bailiwick/'))
        expect(['@bailiwick/kernel', '@bailiwick/contracts', `@bailiwick/${service}`]).toContain(name)
    const sources = files(`services/${service}/src/**/*.ts`)
    expect(sources).not.toEqual([])
    const strange = find(sources, (file) =>
      importsOf(file).filter((specifier) => {
        if (specifier.startsWith('node:')) return false
        if (specifier.startsWith('.')) return !resolve(file, specifier).startsWith(`services/${service}/`)
        return !allowed.has(packageOf(specifier))
      }),
    )
    expect(strange).toEqual([])
  },
)

test('kernel knows nothing above it, contracts only kernel', () => {
  const above = (allowed: readonly string[]) => (file: string) =>
    importsOf(file).filter(
      (specifier) => specifier.startsWith('@bailiwick/') && !allowed.includes(packageOf(specifier)),
    )
  expect(find(files('packages/kernel/src/**/*.ts'), above(['@bailiwick/kernel']))).toEqual([])
  expect(find(files('packages/contracts/src/**/*.ts'), above(['@bailiwick/kernel', '@bailiwick/contracts']))).toEqual(
    [],
  )
})

test('nothing that runs in production imports the fakes', () => {
  const sources = files(
    'services/*/src/**/*.ts',
    'packages/{kernel,contracts}/src/**/*.ts',
    'scripts/{cli,embedded}/*.ts',
  )
  expect(
    find(sources, (file) => importsOf(file).filter((specifier) => specifier.startsWith('@bailiwick/testing'))),
  ).toEqual([])
})

test('a tool’s handler is called by the pipeline only, which alone loads the tools', () => {
  const sources = files('services/steward/src/**/*.ts')
  const callers = sources.filter((file) => /\.handle\(/.test(codeOf(file)))
  expect(callers).toEqual(['services/steward/src/plan.ts', 'services/steward/src/read.ts'])
  const loaders = sources.filter(
    (file) =>
      !file.startsWith('services/steward/src/tools/') &&
      importsOf(file).some((specifier) => /\/tools\//.test(specifier)),
  )
  // main.ts hands the list to the pipeline.
  expect(loaders).toEqual(['services/steward/src/main.ts'])
  // One tool never calls another.
  const tools = new Set(
    files('services/steward/src/tools/*/*.ts').filter((file) => codeOf(file).includes('export default defineTool')),
  )
  expect(tools.size).toBeGreaterThan(20)
  const between = find([...tools], (file) =>
    importsOf(file).filter((specifier) => specifier.startsWith('.') && tools.has(resolve(file, specifier))),
  )
  expect(between).toEqual([])
})

test('the gateway can reach no backend: it has no driver of a database, of Valkey, and opens no secret', () => {
  const manifest = JSON.parse(read('services/gateway/package.json')) as { dependencies: Record<string, string> }
  expect(Object.keys(manifest.dependencies).filter((name) => /^(pg|ioredis|redis|valkey)/.test(name))).toEqual([])
  const opens = files('services/{gateway,reaper}/src/**/*.ts').filter((file) =>
    importsOf(file).includes('@bailiwick/kernel/secrets'),
  )
  expect(opens).toEqual([])
})

test('only policy can make a permit', () => {
  const makers = files('services/*/src/**/*.ts', 'scripts/**/*.ts').filter(
    (file) => /\bsealPermit\b/.test(codeOf(file)) && !file.includes('/test/'),
  )
  expect(makers).not.toEqual([])
  expect(makers.filter((file) => !file.startsWith('services/policy/src/'))).toEqual([])
})
