import { codeOf, exists, files, find, read, SERVICES } from './source.ts'

const production = files('services/*/src/**/*.ts', 'packages/{kernel,contracts}/src/**/*.ts')

test('only config.ts reads the environment; a program that is started gets no more of it than PATH', () => {
  const reads = find(
    production.filter((file) => !file.endsWith('/config.ts')),
    (file) =>
      [...codeOf(file).matchAll(/.*\bprocess\.env\b(?!\['PATH'\]).*/g)]
        .map((match) => match[0].trim())
        // The composition root hands it to config.ts.
        .filter((line) => !(file.endsWith('/main.ts') && /(load|read)\w*Config\(process\.env\)/.test(line))),
  )
  expect(reads).toEqual([])
})

test('DROP, TRUNCATE and their like stand in the keeper’s purge alone', () => {
  const destroys =
    /\b(DROP\s+(TABLE|DATABASE|SCHEMA|ROLE|OWNED|USER|VIEW|SEQUENCE|FUNCTION|INDEX|EXTENSION|TABLESPACE)|TRUNCATE)\b/
  const programs = [...production, ...files('services/*/src/**/*.sql')]
  const found = programs.filter((file) => destroys.test(codeOf(file).replaceAll(/--.*$/gm, '')))
  expect(found).toEqual(['services/keeper/src/purge.ts'])
})

test('no migration drops or empties what holds data', () => {
  const migrations = files('services/*/sql/*.sql')
  expect(migrations).not.toEqual([])
  const statements = find(migrations, (file) =>
    [
      ...read(file)
        .replaceAll(/--.*$/gm, '')
        .matchAll(/^\s*(DROP\s+(TABLE|SCHEMA|DATABASE)|TRUNCATE|DELETE\s+FROM)\b.*/gim),
    ].map((match) => match[0].trim()),
  )
  expect(statements.filter(({ what }) => !/^DELETE/i.test(what))).toEqual([])
})

test.each(SERVICES)('%s has the same doors as every service: main.ts and config.ts', (service) => {
  expect(exists(`services/${service}/src/main.ts`)).toBe(true)
  expect(exists(`services/${service}/src/config.ts`)).toBe(true)
})

test('every source file opens with its one job, in at most five lines', () => {
  const sources = files('services/*/src/**/*.ts', 'packages/*/src/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts')
    // A tool says its job in its summary, a test in its names.
    .filter((file) => !file.endsWith('.test.ts') && !codeOf(file).includes('export default defineTool'))
  const opening = (file: string): number => {
    const lines = read(file).split('\n')
    return lines.findIndex((line) => !line.startsWith('//'))
  }
  expect(find(sources, (file) => (opening(file) >= 1 && opening(file) <= 5 ? [] : [`${opening(file)} lines`]))).toEqual(
    [],
  )
})

test('modules stay readable: no source file above 350 lines', () => {
  // Tables of texts and messages read the same at any length.
  const tables = ['packages/contracts/src/codes.ts', 'packages/contracts/src/doors/policy.ts']
  const sources = files(
    'services/*/src/**/*.ts',
    'packages/{kernel,contracts}/src/**/*.ts',
    'scripts/{cli,embedded}/*.ts',
  )
  const long = find(
    sources.filter((file) => !tables.includes(file)),
    (file) => {
      const count = read(file).split('\n').length
      return count > 350 ? [`${count} lines`] : []
    },
  )
  expect(long).toEqual([])
})

test('nothing is left for later, and no rule is switched off without a reason', () => {
  const sources = files('services/**/*.ts', 'packages/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts').filter(
    (file) => !file.startsWith('test/boundaries/'),
  )
  const marks = /\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|nocheck|expect-error)|(ox|es)lint-disable(?!.* -- \w)/
  expect(sources.filter((file) => marks.test(read(file)))).toEqual([])
})

test('no test is switched off or alone', () => {
  const tests = files(
    'services/*/test/**/*.test.ts',
    'packages/*/test/**/*.test.ts',
    'scripts/*/test/**/*.test.ts',
    'test/**/*.test.ts',
  ).filter((file) => !file.startsWith('test/boundaries/'))
  expect(
    tests.filter((file) => /\b(fdescribe|fit|xit|xtest|xdescribe)\(|\.(only|todo)\(|\.skip\(/.test(codeOf(file))),
  ).toEqual([])
})
