// Runs the Inspector's CLI against a stack, as its user would: address, header, method; and the CA where Node looks for it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { runProgram } from './programs.ts'

const INSPECTOR = new URL(
  'programs/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js',
  import.meta.url,
).pathname

/** `legacy`: initialize, then 2025-11-25. `modern`: 2026-07-28. */
export type Era = 'legacy' | 'modern'
export type Place = { readonly origin: string; readonly caFile: string }
type Inspected = { code: number | null; result?: Record<string, unknown>; error?: unknown; advice: string }

/** `args`: the method and what it needs, such as `tools/call --tool-name whoami`. */
export async function inspect(place: Place, token: string, era: Era, ...args: string[]): Promise<Inspected> {
  const home = mkdtempSync(`${tmpdir()}/inspector-`)
  try {
    const given = [
      '--server-url',
      `${place.origin}/mcp`,
      '--transport',
      'http',
      '--header',
      `Authorization: Bearer ${token}`,
    ]
    // Never asks anybody to sign in: what the token does not open, fails.
    const fixed = ['--cli', ...given, '--protocol-era', era, '--stored-auth-only', '--format', 'json']
    const { code, out, err } = await runProgram([INSPECTOR, ...fixed, '--method', ...args], home, {
      NODE_EXTRA_CA_CERTS: place.caFile,
    })
    const told = (code === 0 ? out : err).split('\n').find((line) => line.startsWith('{'))
    return { ...(told === undefined ? { error: `${out}${err}` } : (JSON.parse(told) as object)), code, advice: err }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
