// A dump's table of contents, as `pg_restore --list` prints it, sorted into the stages of a load: which entries can meet code of
// the database's own and which cannot.

/** One line; `line` is what `pg_restore -L` wants back. */
export type Entry = { line: string; oid: number; kind: string; name: string }

/** What lives in `public`; schemas, extensions, our own things and default privileges are prepared already. */
export function readContents(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const found = /^\d+; \d+ (\d+) ([A-Z]+(?: [A-Z]+)*) public (.*) \S+$/.exec(line)
    if (!found || found[2] === 'DEFAULT ACL') return []
    return [{ line, oid: Number(found[1]), kind: found[2]!, name: found[3]! }]
  })
}

/** Things whose making evaluates expressions; by their oid in the dumped copy. `of` is the table or domain, quoted. */
export type Evaluated = { oid: number; of: string; index: string | null; type: 'TABLE' | 'DOMAIN' }

export type Stages = {
  /** Keys, plain indexes, foreign keys, triggers, rules, policies, checks that are not looked at: no row meets an expression. */
  inert: Entry[]
  /** Indexes over expressions, then checks of domains: each builds or parses something that may call code. */
  evaluated: { entry: Entry; on: Evaluated }[]
  /** Joins such indexes to those of the partitioned table. */
  attached: Entry[]
}

export function stagesOf(postData: Entry[], evaluated: readonly Evaluated[]): Stages {
  const byOid = new Map(evaluated.map((on) => [on.oid, on]))
  const indexes = new Set(evaluated.map(({ index }) => index))
  const stages: Stages = { inert: [], evaluated: [], attached: [] }
  for (const entry of postData) {
    const on = /^(INDEX|CONSTRAINT|CHECK CONSTRAINT)$/.test(entry.kind) ? byOid.get(entry.oid) : undefined
    if (on) stages.evaluated.push({ entry, on })
    else if (entry.kind === 'INDEX ATTACH' && indexes.has(entry.name)) stages.attached.push(entry)
    else if (entry.kind !== 'MATERIALIZED VIEW DATA') stages.inert.push(entry)
  }
  // The server plans a query to look at a foreign key; then no check, policy or rule may be there whose constants it would compute.
  const rank = ({ kind }: Entry): number =>
    /^(CONSTRAINT|INDEX|INDEX ATTACH)$/.test(kind) ? 0 : kind === 'FK CONSTRAINT' ? 1 : 2
  stages.inert.sort((one, other) => rank(one) - rank(other))
  // A domain that has its checks again runs them whenever a literal of it is read, so these come last of all.
  stages.evaluated.sort((one, other) => Number(one.on.type === 'DOMAIN') - Number(other.on.type === 'DOMAIN'))
  return stages
}
