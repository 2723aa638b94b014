import { exists, files, find, read } from './source.ts'

const inTicks = (text: string): string[] => [...text.matchAll(/`([^`\s]+)`/g)].map((match) => match[1]!)
const isTestFile = (name: string): boolean => name.endsWith('.test.ts')

/** Of a threat's row: `| T7 | threat | mechanism | tests |`. */
const threats = read('docs/threat-model.md')
  .split('\n')
  .filter((line) => /^\| T\d+ /.test(line))
  .map((line) => {
    const [, id, threat, mechanism, tests] = line.split('|').map((cell) => cell.trim())
    return { id, threat, mechanism, tests: inTicks(tests ?? '').filter(isTestFile) }
  })

test('every threat names its mechanism and at least one test file', () => {
  expect(threats.length).toBeGreaterThan(10)
  expect(threats.map(({ id }) => id)).toEqual(threats.map((_, index) => `T${index + 1}`))
  expect(threats.filter(({ threat, mechanism, tests }) => !threat || !mechanism || tests.length === 0)).toEqual([])
})

test('every test file that the threat model names exists', () => {
  expect(inTicks(read('docs/threat-model.md')).filter((name) => isTestFile(name) && !exists(name))).toEqual([])
})

// What begins so is a place in the checkout; `<domain>` and `*` stand for any name.
const PLACE = /^(\.ci|docs|keycloak|nginx|packages|postgres|powerdns|scripts|services|test|valkey)\//
const placesIn = (document: string): string[] => inTicks(read(document)).filter((name) => PLACE.test(name))

test('every file and folder that the map, the guides and the decisions name exists', () => {
  expect(placesIn('docs/map.md').length).toBeGreaterThan(20)
  const documents = files('*.md', 'docs/*.md', 'docs/adr/*.md', '*/README.md')
  const missing = find(documents, (document) =>
    placesIn(document).filter((name) => files(name.replaceAll(/<\w+>/g, '*')).length === 0),
  )
  expect(missing).toEqual([])
})
