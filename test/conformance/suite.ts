// Runs the official conformance suite against an address and reads what it wrote about each scenario.
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { runProgram } from './programs.ts'

const SUITE = new URL('programs/node_modules/@modelcontextprotocol/conformance', import.meta.url).pathname

export type Revision = '2026-07-28' | '2025-11-25'
export type Check = {
  id: string
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
  errorMessage?: string
}

/** The scenarios that a revision requires of a server: the suite's own frozen list, in which they count. */
export function scoredScenarios(revision: Revision): string[] {
  const text = readFileSync(`${SUITE}/requirements/${revision}.yaml`, 'utf8')
  const list = /^server:\n((?: {2}- [a-z0-9-]+\n)+)/m.exec(text)?.[1]
  if (list === undefined) throw new Error(`requirements/${revision}.yaml is not as it was`)
  return list
    .trim()
    .split('\n')
    .map((line) => line.replace(/^ *- /, ''))
}

/** All of a revision's scenarios, at its own wire. The checks of each; a scenario without any was not run. */
export async function runSuite(revision: Revision, url: string): Promise<ReadonlyMap<string, readonly Check[]>> {
  const results = mkdtempSync(`${tmpdir()}/suite-`)
  try {
    const args = [`${SUITE}/dist/index.js`, 'server', '--url', url, '--requirements', revision, '-o', results]
    // Its exit code says nothing that the checks do not say in more detail.
    const { out, err } = await runProgram(args, results)
    const checks = new Map(
      globSync('server-*/checks.json', { cwd: results }).map((file) => [
        file.replace(/^server-(.+)-\d{4}-\d\d-\d\dT.*$/, '$1'),
        JSON.parse(readFileSync(`${results}/${file}`, 'utf8')) as Check[],
      ]),
    )
    if (checks.size === 0) throw new Error(`the suite wrote no results:\n${`${out}${err}`.slice(-4000)}`)
    return checks
  } finally {
    rmSync(results, { recursive: true, force: true })
  }
}
