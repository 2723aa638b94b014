// Prints the CPU that execute takes for a read (budget 0.35 ms, call.md) and for a change, peers in memory, PostgreSQL real.
// Run: node services/steward/test/bench.ts
import globalSetup from '@bailiwick/testing/global-setup'
import globalTeardown from '@bailiwick/testing/global-teardown'
import { openHouse, textOf } from './support/house.ts'

await globalSetup()
const house = await openHouse()
const steward = house.steward()
const account = house.account()
const id = textOf(await house.call(steward, 'create_database', { name: 'shop' }, { account }), 'database_id')

async function measure(
  name: string,
  calls: number,
  prepare: () => Parameters<typeof steward.execute>[0],
): Promise<void> {
  const run = async (requests: Parameters<typeof steward.execute>[0][]): Promise<void> => {
    for (const request of requests)
      if (!(await steward.execute(request, 'gateway')).ok) throw new Error(`${name} was refused`)
  }
  await run(Array.from({ length: calls / 4 }, prepare))
  const requests = Array.from({ length: calls }, prepare)
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  await run(requests)
  const used = process.cpuUsage(cpu)
  const ms = (total: number): string => (total / calls).toFixed(3)
  process.stdout.write(
    `${name}: ${ms((used.user + used.system) / 1000)} ms CPU, ${ms(performance.now() - wall)} ms wall per call\n`,
  )
}

const request = (tool: string, input: { [field: string]: never }) => ({
  permit: house.permit(tool, input, { account }),
  input,
})
await measure('read (list_databases)', 4000, () => request('list_databases', {}))
await measure('read of one resource (get_database)', 4000, () => request('get_database', { database_id: id as never }))
await measure('change (rotate_database_password)', 400, () =>
  request('rotate_database_password', { database_id: id as never }),
)
await house.close()
await globalTeardown()
