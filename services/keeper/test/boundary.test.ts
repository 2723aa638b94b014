// Where the keeper may destroy is a matter of one file, so that it can be read.
import { readdirSync, readFileSync } from 'node:fs'

const SRC = new URL('../src/', import.meta.url).pathname

test('no SQL that destroys stands outside purge.ts', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  expect(files).toContain('purge.ts')
  const destroys = /\b(DROP\s+(DATABASE|TABLE|SCHEMA|ROLE|OWNED|COLUMN|FUNCTION|TRIGGER|EVENT)|TRUNCATE|TO\s+PROGRAM)\b/
  const code = (file: string): string => readFileSync(`${SRC}${file}`, 'utf8').replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
  expect(files.filter((file) => destroys.test(code(file)))).toEqual(['purge.ts'])
})
