// Arguments that a tool's schema has repeated in headers (`x-mcp-header`, 2026-07-28 "Custom Headers from Tool Parameters"). A proxy
// may have decided by the header: the two must say the same.
import type http from 'node:http'
import type { CatalogTool } from '@bailiwick/contracts/catalog'
import type { Json } from '@bailiwick/kernel/canonical'
import { isMembers, type Members } from './members.ts'

/** Header name in lower case, and where in the arguments its value stands. */
type Mirror = { readonly header: string; readonly path: readonly string[] }

/** Only the tools that have such parameters. */
export const findMirrors = (tools: readonly CatalogTool[]): ReadonlyMap<string, readonly Mirror[]> =>
  new Map(
    tools.map(({ name, input_schema }) => [name, mirrorsOf(input_schema, [])] as const).filter(([, all]) => all.length),
  )

function mirrorsOf(schema: Members, path: readonly string[]): Mirror[] {
  const { properties } = schema
  if (!isMembers(properties)) return []
  return Object.entries(properties).flatMap(([name, property]) => {
    if (!isMembers(property)) return []
    const header = property['x-mcp-header']
    const here = [...path, name]
    const own = typeof header === 'string' ? [{ header: `mcp-param-${header.toLowerCase()}`, path: here }] : []
    return [...own, ...mirrorsOf(property, here)]
  })
}

/** Null: every declared header says what the arguments say. */
export function findMirrorProblem(
  mirrors: readonly Mirror[] | undefined,
  input: Json,
  headers: http.IncomingHttpHeaders,
): string | null {
  const wrong = mirrors?.find(({ header, path }) => {
    const value = path.reduce<Json | undefined>((at, name) => (isMembers(at) ? at[name] : undefined), input)
    return !says(decodeSentinel(headers[header] as string | undefined), value)
  })
  return wrong ? `The ${wrong.header} header does not say what the argument says.` : null
}

function says(header: string | undefined, value: Json | undefined): boolean {
  if (value === undefined || value === null) return header === undefined
  if (header === undefined) return false
  if (typeof value === 'number') return /^-?\d+(\.\d+)?$/.test(header) && Number(header) === value
  return header === (typeof value === 'string' ? value : JSON.stringify(value))
}

/** `=?base64?...?=` carries what no header can. What looks like it and does not decode stays as it is, and so equals nothing. */
export function decodeSentinel(value: string | undefined): string | undefined {
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value?.trim() ?? '')?.[1]
  if (encoded === undefined) return value?.trim()
  const bytes = Buffer.from(encoded, 'base64')
  return bytes.toString('base64') === encoded ? bytes.toString('utf8') : value
}
