// The realm file as the generator writes it, with the number of the newest migration.
import { listMigrations } from '../embedded/keycloak/migrate.ts'
import { buildRealm } from './realm.ts'

export function writeRealm(root: string): string {
  const migration = listMigrations(`${root}/keycloak/migrations`).length
  return `${JSON.stringify(buildRealm({ migration }), null, 2)}\n`
}
