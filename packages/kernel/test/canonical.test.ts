import fc from 'fast-check'
import { canonical, hashJson, type Json } from '@bailiwick/kernel/canonical'

describe('canonical JSON (RFC 8785)', () => {
  test('matches the example of RFC 8785 §3.2.3', () => {
    const value = {
      '€': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '😀': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      ö: 'Latin Small Letter O With Diaeresis',
    }
    expect(canonical(value)).toBe(
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    )
  })
  test('writes numbers as RFC 8785 §3.2.2.3 does', () => {
    expect(canonical([333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0])).toBe(
      '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
    )
  })
  test('means the same value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as Json
        expect(JSON.parse(canonical(json))).toEqual(json)
        const reversed = (part: Json): Json =>
          part !== null && typeof part === 'object' && !Array.isArray(part)
            ? Object.fromEntries(
                Object.entries(part as { [key: string]: Json })
                  .reverse()
                  .map(([key, inner]) => [key, reversed(inner)]),
              )
            : Array.isArray(part)
              ? (part as Json[]).map(reversed)
              : part
        expect(hashJson(reversed(json))).toBe(hashJson(json))
      }),
    )
  })
  test('refuses what JSON cannot say', () => {
    expect(() => canonical(Number.NaN)).toThrow()
    expect(() => canonical('\ud800')).toThrow()
  })
})
