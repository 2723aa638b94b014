// Reads the sources for the structure tests: what each file imports, and its code without comments and texts.
import { existsSync, globSync, readFileSync } from 'node:fs'

export const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')
export const SERVICES = ['gateway', 'policy', 'steward', 'keeper', 'vault', 'reaper', 'audit', 'egress'] as const
export const PACKAGES = ['kernel', 'contracts', 'testing'] as const

/** Paths relative to the checkout, of every file that fits one of the patterns. */
export const files = (...patterns: string[]): string[] =>
  globSync(patterns, { cwd: ROOT, exclude: (name) => name === 'node_modules' }).sort()

export const read = (file: string): string => readFileSync(`${ROOT}/${file}`, 'utf8')
export const exists = (file: string): boolean => existsSync(`${ROOT}/${file}`)

/** What is imported, re-exported or loaded on demand, as it is written. */
export const importsOf = (file: string): string[] =>
  [...read(file).matchAll(/^(?:import|export)\b[^'"`]*\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    (match) => (match[1] ?? match[2] ?? match[3])!,
  )

/** The code without comments. Good enough for looking up words: a `//` inside a text ends that line's code too early, never too late. */
export const codeOf = (file: string): string =>
  read(file)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|[^:])\/\/.*$/gm, '$1')

export type Finding = { file: string; what: string }
export const find = (paths: readonly string[], look: (file: string) => readonly string[]): Finding[] =>
  paths.flatMap((file) => look(file).map((what) => ({ file, what })))
