// The keeper's routes. The first door's verbs cannot destroy; each change goes through the operation log. Purge is another door.
import type { keeperDoor, KeeperRefusal } from '@bailiwick/contracts/doors/keeper'
import { hashJson, type Json } from '@bailiwick/kernel/canonical'
import type { Handlers } from '@bailiwick/kernel/door'
import {
  createDatabase,
  describeDatabase,
  issuePassword,
  quarantineDatabase,
  restoreDatabase,
  setDatabaseLimits,
} from './databases/databases.ts'
import { dumpDatabase } from './databases/dump.ts'
import { runReadQuery } from './databases/query.ts'
import { restoreDatabaseToNew } from './databases/recover.ts'
import { reverseRows } from './databases/reverse.ts'
import { insertRows, readRows, removeRows, updateRows } from './databases/rows.ts'
import type { ChangeVerb, Hands } from './databases/step.ts'
import { createTable, quarantineTable, restoreTable } from './databases/tables.ts'
import type { Operations } from './operations.ts'
import { Refusal } from './refusal.ts'
import type { ZoneVerbs } from './zones/zones.ts'

type Answer<T> = ({ ok: true } & T) | KeeperRefusal

/** A refusal becomes an answer; anything else stays a fault. */
async function answer<T extends object>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, ...(await work()) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { code, detail, conflicts } = error
    return { ok: false, code, detail, ...(conflicts ? { conflicts } : {}) }
  }
}

type Change = { account_id: string; operation_id: string }

export function createHandlers(hands: Hands, operations: Operations, zones: ZoneVerbs): Handlers<typeof keeperDoor> {
  const change = <I, O extends Json & object>(name: string, verb: ChangeVerb<I, O>) => {
    operations.registerProber(name, verb.probe)
    return (input: I & Change): Promise<Answer<O>> =>
      answer(() => {
        const { account_id, operation_id } = input
        const key = {
          operation_id,
          account_id,
          verb: name,
          target: verb.target(input),
          input_hash: hashJson(input),
        }
        return operations.once<O>(key, { probe: () => verb.probe(key), act: () => verb.act(input, key) })
      })
  }
  return {
    create_database: change('create_database', createDatabase(hands)),
    issue_password: (input) => answer(() => issuePassword(hands, input)),
    describe_database: (input) => answer(() => describeDatabase(hands, input)),
    read_rows: (input) => answer(() => readRows(hands, input)),
    run_read_query: (input) => answer(() => runReadQuery(hands, input)),
    create_table: change('create_table', createTable(hands)),
    quarantine_table: change('quarantine_table', quarantineTable(hands)),
    restore_table: change('restore_table', restoreTable(hands)),
    insert_rows: change('insert_rows', insertRows(hands)),
    update_rows: change('update_rows', updateRows(hands)),
    remove_rows: change('remove_rows', removeRows(hands)),
    reverse_rows: change('reverse_rows', reverseRows(hands)),
    set_database_limits: change('set_database_limits', setDatabaseLimits(hands)),
    dump_database: change('dump_database', dumpDatabase(hands)),
    quarantine_database: change('quarantine_database', quarantineDatabase(hands)),
    restore_database: change('restore_database', restoreDatabase(hands)),
    restore_database_to_new: change('restore_database_to_new', restoreDatabaseToNew(hands)),

    create_zone: (input) => answer(() => zones.create_zone(input)),
    read_zone: (input) => answer(() => zones.read_zone(input)),
    replace_record_sets: (input) => answer(() => zones.replace_record_sets(input)),
    publish_zone: (input) => answer(() => zones.publish_zone(input)),
    unpublish_zone: (input) => answer(() => zones.unpublish_zone(input)),
    dump_zone: (input) => answer(() => zones.dump_zone(input)),
    quarantine_zone: (input) => answer(() => zones.quarantine_zone(input)),
    restore_zone: (input) => answer(() => zones.restore_zone(input)),
    sign_zone: (input) => answer(() => zones.sign_zone(input)),
    unsign_zone: (input) => answer(() => zones.unsign_zone(input)),
    read_signing: (input) => answer(() => zones.read_signing(input)),
    read_parent_ds: (input) => answer(() => zones.read_parent_ds(input)),
    look_outside: (input) => answer(() => zones.look_outside(input)),
    read_registration: (input) => answer(() => zones.read_registration(input)),
    resolve_txt: (input) => answer(() => zones.resolve_txt(input)),

    probe: ({ account_id, operation_id }) =>
      answer(async () => ({ steps: await operations.steps(account_id, operation_id) })),
  }
}
