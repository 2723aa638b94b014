// The steward is killed (SIGKILL) in every journal state, with one operation of every changing tool caught there at once: each
// write to the journal waits on a lock that the test holds, so the kill lands right before that state becomes durable.
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { controlDatabase } from './backends.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'
import { SCENARIOS, type Prepared } from './scenarios.ts'
import { eventually, type Reply } from './support.ts'

const stack = sharedStack()
const LOCK = 7_777_777
const STATES = ['accepted', 'intended', 'prepared', 'snapshotted', 'acting', 'committed', 'recorded'] as const
/** In snapshotted only what takes a snapshot stops. */
const TAKES_SNAPSHOT = new Set(['delete_database', 'delete_domain', 'create_database'])

let control: pg.Client
let holder: pg.Client
beforeAll(async () => {
  control = await controlDatabase(stack)
  holder = await controlDatabase(stack)
  await control.query(`
    CREATE TABLE IF NOT EXISTS public.test_stop_at (state text, tool text);
    GRANT SELECT ON public.test_stop_at TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC;
    CREATE OR REPLACE FUNCTION public.test_stop() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM public.test_stop_at s WHERE s.state = NEW.state AND s.tool = NEW.tool) THEN
        PERFORM pg_advisory_lock_shared(${LOCK}); PERFORM pg_advisory_unlock_shared(${LOCK});
      END IF;
      RETURN NEW;
    END $$;
    DROP TRIGGER IF EXISTS test_stop ON steward.operations;
    CREATE TRIGGER test_stop AFTER INSERT OR UPDATE ON steward.operations FOR EACH ROW EXECUTE FUNCTION public.test_stop()`)
})
afterAll(async () => {
  await control.query(
    'DROP TRIGGER test_stop ON steward.operations; DROP FUNCTION public.test_stop(); DROP TABLE public.test_stop_at; REVOKE USAGE ON SCHEMA public FROM PUBLIC',
  )
  await control.end()
  await holder.end()
})

const waiting = async (): Promise<number> =>
  Number(
    (
      await control.query(
        `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = ${LOCK} AND NOT granted`,
      )
    ).rows[0].count,
  )

async function killSteward(): Promise<void> {
  const pid = (await stack.status()).find((part) => part.name === 'steward')?.pid
  if (!pid) throw new Error('the steward is not running')
  process.kill(pid, 'SIGKILL')
}

/** Repeats the same call with the same key, as a client would, until it is answered. */
async function settle(account: Account, tool: string, input: Record<string, unknown>, key: string): Promise<Reply> {
  const deadline = Date.now() + 100_000
  for (;;) {
    const reply = await stack.call(account.token, tool, input, { 'idempotency-key': key }).catch(() => null)
    const code = String(reply?.body['code'])
    if (
      reply &&
      reply.status !== 202 &&
      reply.status < 500 &&
      !['IDEMPOTENCY_IN_PROGRESS', 'RESOURCE_BUSY'].includes(code)
    )
      return reply
    if (Date.now() > deadline)
      throw new Error(`${tool} was never answered: ${reply?.status} ${JSON.stringify(reply?.body)}`)
    await new Promise((resolve) => setTimeout(resolve, 1500))
  }
}

type Run = {
  tool: string
  account: Account
  prepared: Prepared
  before: string
  input: Record<string, unknown>
  key: string
}

describe.each(STATES)('killed on the way to %s', (state) => {
  const tools = SCENARIOS.filter(({ tool }) => state !== 'snapshotted' || TAKES_SNAPSHOT.has(tool))
  const runs: Run[] = []
  beforeAll(async () => {
    for (const { tool, prepare } of tools) {
      const account = await freshAccount(stack, `crash-${state}-${tool}`)
      const prepared = await prepare(stack, account, `${state}-${tool.replaceAll('_', '-')}-${Date.now().toString(36)}`)
      runs.push({
        tool,
        account,
        prepared,
        before: await prepared.look(),
        input: prepared.confirm ? await prepared.confirm() : prepared.input,
        key: randomUUID(),
      })
    }
    await holder.query(`SELECT pg_advisory_lock(${LOCK})`)
    await control.query('DELETE FROM public.test_stop_at')
    for (const { tool } of runs) await control.query('INSERT INTO public.test_stop_at VALUES ($1, $2)', [state, tool])
    const first = runs.map((run) =>
      stack.call(run.account.token, run.tool, run.input, { 'idempotency-key': run.key }).catch(() => null),
    )
    try {
      await eventually(
        `all ${runs.length} stand before ${state}`,
        async () => (await waiting()) === runs.length,
        60_000,
      )
      await killSteward()
    } finally {
      await control.query('DELETE FROM public.test_stop_at')
      await holder.query(`SELECT pg_advisory_unlock(${LOCK})`)
    }
    await Promise.all(first)
  }, 240_000)

  test.each(tools.map(({ tool }) => tool))(
    '%s happens once, is on the record once, and is undone whole',
    async (tool) => {
      const run = runs.find((each) => each.tool === tool)!
      const reply = await settle(run.account, tool, run.input, run.key)
      expect([reply.status, reply.body['code']]).toEqual([200, undefined])
      const after = await run.prepared.look()
      expect(after).not.toBe(run.before)

      // Asked again, the same answer, and nothing moves.
      const again = await settle(run.account, tool, run.input, run.key)
      const { idempotent_replay: _, secret: firstSecret, ...firstAnswer } = reply.body
      const { idempotent_replay: replayed, secret: secondSecret, ...secondAnswer } = again.body
      expect(secondAnswer).toEqual(firstAnswer)
      expect(replayed).toBe(true)
      if (firstSecret !== undefined) expect(secondSecret).not.toEqual(firstSecret)
      expect(await run.prepared.look()).toBe(after)

      const operation = (reply.body['undo'] as { operation_id: string }).operation_id
      const { rows } = await control.query<{ kind: string; count: string }>(
        `SELECT leaf::jsonb->>'kind' AS kind, count(*) FROM audit.leaves WHERE leaf::jsonb->>'operation_id' = $1 AND leaf::jsonb->>'kind' IN ('intent', 'outcome') GROUP BY 1 ORDER BY 1`,
        [operation],
      )
      expect(rows).toEqual([
        { kind: 'intent', count: '1' },
        { kind: 'outcome', count: '1' },
      ])

      await stack.must(run.account.token, 'undo', { operation_id: operation })
      expect(await run.prepared.look()).toBe(run.before)
    },
    120_000,
  )
})
