// Physical names, derived from a resource id and nothing else: no text of a user reaches a name of ours, and none collide.
import { idHex } from '@bailiwick/kernel/ids'

export type DatabaseNames = {
  /** The database in use; owned by the superuser, so that nobody else can drop or rename it. */
  database: string
  /** Its name while it is quarantined. */
  quarantined: string
  /** NOLOGIN; owns the tables that the keeper makes, so that a handed-out password cannot alter or drop them. */
  owner: string
  /** The role whose password is handed out. */
  login: string
  /** The keeper's own login for row verbs. It has the rights of `login` and none besides: code that sits in the database (triggers, defaults) gains nothing from being run by us. */
  writer: string
  /** The keeper's login for read queries. */
  reader: string
}

export function namesOf(databaseId: string): DatabaseNames {
  const hex = idHex(databaseId)
  return {
    database: `db_${hex}`,
    quarantined: `q_${hex}`,
    owner: `o_${hex}`,
    login: `u_${hex}`,
    writer: `w_${hex}`,
    reader: `r_${hex}`,
  }
}

/** `db_<hex>` or `q_<hex>` back to the id. */
export function idOfDatabase(name: string): string | null {
  const hex = /^(?:db|q)_([0-9a-f]{32})$/.exec(name)?.[1]
  return hex
    ? `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    : null
}

export const SUPERUSER = 'keeper'
/** Owns the history trigger's function and may do nothing but write history: a cast of the owner's own making runs as it. */
export const HISTORIAN = 'bailiwick_historian'
/** Reads everything for dumps; not a superuser, because a dump reads objects that a handed-out password made. */
export const DUMPER = 'bailiwick_dumper'
/** Loads a recovered dump into a new database, with that database's rights only and only while it loads. */
export const LOADER = 'bailiwick_loader'

/** An SQL identifier, quoted. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
/** An SQL string literal. For utility statements, which take no parameters. */
export const literal = (text: string): string =>
  text.includes('\\') ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'` : `'${text.replaceAll("'", "''")}'`
