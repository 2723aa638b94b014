// ./bailiwick admin restore-database: a permit of the operator's from policy, carried out by the steward like any other call.
import { toProblem } from '@bailiwick/contracts/problem'
import { ResourceId } from '@bailiwick/kernel/ids'
import { PlainError } from '../embedded/plain-error.ts'
import { connectSteward } from './admin-client.ts'
import { readId, readTime, type Given } from './admin-options.ts'

const TOOL = 'restore_database_to_new'

export async function restoreDatabase(given: Given): Promise<{ data: unknown; lines: readonly string[] }> {
  const { admin, need, account, layout } = given
  const input = {
    database_id: readId(ResourceId, '--database', need('database')) as string,
    target_time: new Date(readTime('--to', need('to'))).toISOString(),
    name: need('name'),
  }
  const permitted = await admin.permit({ account: await account(), tool: TOOL, input, reason: need('reason') })
  if (!permitted.ok) throw refused(permitted.denial)
  const steward = connectSteward(layout)
  try {
    const answer = await steward.execute({ permit: permitted.permit, input })
    if (!answer.ok) throw refused(answer.denial)
    const { output } = answer
    const { database_id, recovered_to } = output as { database_id: string; recovered_to: string }
    const lines = [
      `restored as database ${database_id} ("${input.name}"), as it was at ${recovered_to} (entry ${answer.receipt} of the log)`,
    ]
    if (output['secret']) lines.push('its login, shown only now:', JSON.stringify(output['secret'], null, 2))
    return { data: { ...output, receipt: answer.receipt, operation_id: answer.operation_id }, lines }
  } finally {
    steward.close()
  }
}

function refused(denial: Parameters<typeof toProblem>[0]): PlainError {
  const { code, detail, next } = toProblem(denial, 'admin')
  return new PlainError(`refused, ${code}: ${detail} ${next}`)
}
