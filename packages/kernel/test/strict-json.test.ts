import fc from 'fast-check'
import { parseStrictJson } from '@bailiwick/kernel/strict-json'

const reason = (text: string, depth?: number) => {
  const parsed = parseStrictJson(text, depth)
  return parsed.ok ? 'accepted' : parsed.error.reason
}

describe('strict JSON', () => {
  test('reads what JSON.parse reads, to the same value', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        fc.pre(!/__proto__|constructor|prototype/.test(text))
        const parsed = parseStrictJson(text)
        expect(parsed.ok && parsed.value).toEqual(JSON.parse(text))
      }),
    )
  })
  test('refuses whatever JSON.parse refuses', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 20, unit: fc.constantFrom(...'{}[]",:\\0123.eE+-truefalsn u\n\t\u0000'.split('')) }),
        (text) => {
          const parsed = parseStrictJson(text)
          let native = true
          try {
            JSON.parse(text)
          } catch {
            native = false
          }
          if (!native) expect(parsed.ok).toBe(false)
        },
      ),
      { numRuns: 5000 },
    )
  })
  test.each([
    ['{"a":1,"a":2}', 'duplicate_key'],
    ['{"a":1,"\\u0061":2}', 'duplicate_key'],
    ['{"__proto__":{}}', 'forbidden_key'],
    ['{"\\u005f_proto__":{}}', 'forbidden_key'],
    ['{"constructor":1}', 'forbidden_key'],
    ['"\\ud800"', 'encoding'],
    ['1e999', 'syntax'],
    ['[1,]', 'syntax'],
    ['[1] 2', 'syntax'],
    ['', 'syntax'],
  ])('refuses %s as %s', (text, expected) => {
    expect(reason(text)).toBe(expected)
  })
  test('bounds nesting', () => {
    expect(reason('['.repeat(32) + ']'.repeat(32))).toBe('accepted')
    expect(reason('['.repeat(33) + ']'.repeat(33))).toBe('too_deep')
    expect(reason('['.repeat(100_000))).toBe('too_deep')
  })
})
