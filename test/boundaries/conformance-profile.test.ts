import { codeOf, files, find, importsOf } from './source.ts'

test('what the conformance profile puts in, no deployment can: no composition root has extra tools, extra protocol or other risks to give', () => {
  const roots = files('services/*/src/main.ts', 'services/*/src/config.ts', 'scripts/{cli,embedded}/*.ts')
  expect(roots.length).toBeGreaterThan(10)
  expect(find(roots, (file) => [...codeOf(file).matchAll(/\b(extras|leastRisk)\b/g)].map((match) => match[0]))).toEqual(
    [],
  )
  // The seams are there, and these words are their names.
  expect(codeOf('services/gateway/src/http.ts')).toMatch(/\bextras\b/)
  expect(codeOf('services/policy/src/service.ts')).toMatch(/\bleastRisk\b/)
})

test('nothing that runs in production comes from the tests', () => {
  const sources = files('services/*/src/**/*.ts', 'packages/{kernel,contracts}/src/**/*.ts', 'scripts/**/*.ts').filter(
    (file) => !file.includes('/test/'),
  )
  expect(find(sources, (file) => importsOf(file).filter((specifier) => /(^|\/)test\//.test(specifier)))).toEqual([])
})
