// Nothing invisible and nothing that drives a terminal reaches an answer; the rest does, unchanged.
import { untrusted, untrustedJson } from '../src/untrusted.ts'

test.each<[string, string, string]>([
  ['plain text', 'Grüße, 世界! 12 €', 'Grüße, 世界! 12 €'],
  ['control characters', 'a\u0000b\u0007c\u007fd\u0085e', 'abcde'],
  ['colours', '\u001b[1;31mred\u001b[0m', 'red'],
  ['a one-byte CSI', '\u009b31mred', 'red'],
  ['a window title', '\u001b]0;owned\u0007text', 'text'],
  ['a link', '\u001b]8;;http://evil\u001b\\click\u001b]8;;\u001b\\', 'click'],
  ['an unterminated string hides nothing', '\u001b]0;kept text', '0;kept text'],
  ['a lone escape at the end', 'a\u001b', 'a'],
  ['bidi overrides', 'a\u202Eb\u2066c\u2069\u200f\u061cd', 'abcd'],
  ['zero-width', 'a\u200bb\u200cc\u200dd\ufeffe\u2060f\u00adg', 'abcdefg'],
  ['tag characters', `a${String.fromCodePoint(0xe0041, 0xe007f)}b`, 'ab'],
  ['variation selectors', `a\ufe0f${String.fromCodePoint(0xe0100)}b`, 'ab'],
  ['line separators', 'a\u2028b\u2029c', 'abc'],
  ['lone surrogates', 'a\ud800b', 'a\ufffdb'],
  ['escapes that stripping would make', '\u001b\u200b[31mx', '[31mx'],
])('%s', (_, text, shown) => {
  expect(untrusted(text)).toBe(shown)
})

test('line feeds are spaces in one-line fields and stay in values; a carriage return never overwrites', () => {
  expect(untrusted('a\r\nb\tc\rd')).toBe('a b c d')
  expect(untrusted('a\r\nb\tc\rd', { multiline: true })).toBe('a\nb\tc\nd')
})

test('a long text is cut visibly and never within a character', () => {
  expect(untrusted('x'.repeat(4000))).toHaveLength(4000)
  expect(untrusted('x'.repeat(4001))).toBe(`${'x'.repeat(4000)}… [cut: 1 characters more]`)
  const cut = untrusted('😀'.repeat(3), { maxChars: 3 })
  expect(cut.isWellFormed()).toBe(true)
  expect(cut).toBe('😀… [cut: 4 characters more]')
})

test('values are stripped at every depth, names too, and names that become equal stay apart', () => {
  expect(untrustedJson({ 'a\u200b': 1, a: ['x\u0000', { b: 'y\u202e' }], n: null, t: true })).toEqual({
    a: 1,
    a_2: ['x', { b: 'y' }],
    n: null,
    t: true,
  })
  expect(Object.keys(untrustedJson(JSON.parse('{"__proto__": "x"}')) as object)).toEqual(['__proto__'])
})

test('what is nested without end is cut', () => {
  let deep: unknown = 'x'
  for (let n = 0; n < 50; n += 1) deep = [deep]
  expect(JSON.stringify(untrustedJson(deep))).toContain('cut: nested too deep')
})

test('any text comes out without control, bidi or zero-width characters, and stripping again changes nothing', () => {
  for (let code = 0; code < 0x3000; code += 1) {
    const shown = untrusted(`a${String.fromCodePoint(code)}b`)
    expect(shown).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]/u)
    expect(untrusted(shown)).toBe(shown)
  }
})
