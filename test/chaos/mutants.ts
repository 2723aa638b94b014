// Planted faults: a copy of the checkout with one edit. A runner that does not catch them proves nothing.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'

import type { Victim } from './runner.ts'

export type Mutant = {
  name: string
  file: string
  find: string
  replace: string
  rounds: number
  victims: readonly Victim[]
}

export const MUTANTS: readonly Mutant[] = [
  {
    // What a log without fsync does: callers are told before the entry is on the disk.
    name: 'acknowledge before commit',
    file: 'services/audit/src/writer.ts',
    find: 'const verdicts = await commit(current, rows)',
    replace: `acknowledge(left, rows)
        await new Promise((later) => setTimeout(later, 100))
        const verdicts = await commit(current, rows)`,
    rounds: 8,
    victims: ['audit', 'postgres'],
  },
]

/** A copy of `root` with the mutant's edit; node_modules are linked, but the workspaces resolve to the copy. */
export function plant(root: string, mutant: Mutant): string {
  const copy = mkdtempSync(`${tmpdir()}/bailiwick-mutant-`)
  // Its services are other users.
  chmodSync(copy, 0o755)
  for (const name of readdirSync(root)) {
    if (['node_modules', '.bailiwick', '.git', '.cache'].includes(name)) continue
    cpSync(`${root}/${name}`, `${copy}/${name}`, { recursive: true, filter: (path) => !path.includes('/node_modules') })
  }
  // What was built once serves the copy too.
  mkdirSync(`${root}/.cache`, { recursive: true })
  symlinkSync(`${root}/.cache`, `${copy}/.cache`)
  mkdirSync(`${copy}/node_modules`)
  for (const name of readdirSync(`${root}/node_modules`)) {
    if (name !== '@bailiwick') symlinkSync(`${root}/node_modules/${name}`, `${copy}/node_modules/${name}`)
  }
  mkdirSync(`${copy}/node_modules/@bailiwick`)
  for (const kind of ['packages', 'services']) {
    for (const name of readdirSync(`${root}/${kind}`))
      symlinkSync(`../../${kind}/${name}`, `${copy}/node_modules/@bailiwick/${name}`)
  }
  const path = `${copy}/${mutant.file}`
  const before = readFileSync(path, 'utf8')
  if (before.split(mutant.find).length !== 2)
    throw new Error(`mutant ${mutant.name}: its place in ${mutant.file} is gone or not unique`)
  writeFileSync(path, before.replace(mutant.find, mutant.replace))
  return copy
}
