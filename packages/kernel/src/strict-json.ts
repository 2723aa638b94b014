// Parses JSON as it came from outside: duplicate keys, deep nesting and `__proto__` are refused, because two parsers that
// disagree about a body are how a check is passed on one reading and acted on by another.
import type { Json } from './canonical.ts'
import { err, ok, type Result } from './result.ts'

export type JsonRefusal = { reason: 'syntax' | 'duplicate_key' | 'too_deep' | 'forbidden_key' | 'encoding' }

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// oxlint-disable-next-line no-control-regex -- RFC 8259 §7: control characters must be escaped, so they are excluded here
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SPACE = /[ \t\n\r]*/y
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

class Refused extends Error {
  readonly reason: JsonRefusal['reason']
  constructor(reason: JsonRefusal['reason']) {
    super(reason)
    this.reason = reason
  }
}

/** Parses `text` (RFC 8259). `maxDepth` counts nested arrays and objects. */
export function parseStrictJson(text: string, maxDepth = 32): Result<Json, JsonRefusal> {
  let at = 0
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (!found) return undefined
    at = pattern.lastIndex
    return found[0]
  }
  const skip = (): void => void match(SPACE)
  const take = (char: string): boolean => {
    skip()
    if (text[at] !== char) return false
    at += 1
    return true
  }
  const string = (): string => {
    const raw = match(STRING)
    if (raw === undefined) throw new Refused('syntax')
    const value = JSON.parse(raw) as string
    if (!value.isWellFormed()) throw new Refused('encoding')
    return value
  }
  const value = (depth: number): Json => {
    if (depth > maxDepth) throw new Refused('too_deep')
    skip()
    switch (text[at]) {
      case '{':
        return object(depth)
      case '[':
        return array(depth)
      case '"':
        return string()
      default:
        return scalar()
    }
  }
  const scalar = (): Json => {
    for (const [word, meaning] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (text.startsWith(word, at)) {
        at += word.length
        return meaning
      }
    }
    const number = match(NUMBER)
    if (number === undefined || !Number.isFinite(Number(number))) throw new Refused('syntax')
    return Number(number)
  }
  const array = (depth: number): Json => {
    at += 1
    const items: Json[] = []
    if (take(']')) return items
    do items.push(value(depth + 1))
    while (take(','))
    if (!take(']')) throw new Refused('syntax')
    return items
  }
  const object = (depth: number): Json => {
    at += 1
    const members: { [key: string]: Json } = {}
    if (take('}')) return members
    do {
      skip()
      const key = string()
      if (FORBIDDEN_KEYS.has(key)) throw new Refused('forbidden_key')
      if (Object.hasOwn(members, key)) throw new Refused('duplicate_key')
      if (!take(':')) throw new Refused('syntax')
      members[key] = value(depth + 1)
    } while (take(','))
    if (!take('}')) throw new Refused('syntax')
    return members
  }
  try {
    const parsed = value(1)
    skip()
    return at === text.length ? ok(parsed) : err({ reason: 'syntax' })
  } catch (refused) {
    if (refused instanceof Refused) return err({ reason: refused.reason })
    throw refused
  }
}
