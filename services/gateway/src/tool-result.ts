// An answer as an MCP tool's result: output and problem object are the structured content, a sentence says what matters first.
import type { CallToolResult } from '@modelcontextprotocol/server'
import type { Problem } from '@bailiwick/contracts/problem'
import { problemOf } from './answer.ts'
import type { Answer, Done, Refused } from './call.ts'

export const toToolResult = (answer: Answer): CallToolResult =>
  answer.ok ? toSuccess(answer) : toFailure(problemOf(answer), answer.receipt)

export function toSuccess({
  output,
  requestId,
  receipt,
}: Pick<Done, 'output' | 'requestId'> & { readonly receipt: number | null }): CallToolResult {
  return {
    content: [
      { type: 'text', text: `Done${receipt === null ? '' : `; receipt ${receipt}`}.${describeUndo(output['undo'])}` },
      { type: 'text', text: JSON.stringify(output) },
    ],
    structuredContent: { ...output },
    _meta: metaOf(requestId, receipt),
  }
}

export function toFailure(problem: Problem, receipt: number | null): CallToolResult {
  return {
    isError: true,
    content: [
      { type: 'text', text: `${problem.code}: ${problem.title}. ${problem.detail} ${problem.next}` },
      { type: 'text', text: JSON.stringify(problem) },
    ],
    structuredContent: problem,
    _meta: metaOf(problem.request_id, receipt),
  }
}

/** mechanisms.md §15: these are HTTP's to say, every other refusal is a tool's result. */
export const isHttpProblem = ({ status, code }: Problem): boolean =>
  status === 401 || status === 429 || status === 503 || code === 'INSUFFICIENT_SCOPE'

/** Our own errors carry the HTTP status as JSON-RPC code: outside the protocol's -32768..-32000. */
export function toRpcError(
  problem: Problem,
  rpc?: NonNullable<Refused['unreadable']>['rpc'],
): { code: number; message: string; data: object } {
  const data = rpc?.data !== null && typeof rpc?.data === 'object' ? { ...rpc.data, problem } : { problem }
  return { code: rpc?.code ?? problem.status, message: `${problem.title}. ${problem.detail}`, data }
}

const metaOf = (requestId: string, receipt: number | null): { [key: string]: unknown } => ({
  'io.bailiwick/receipt': { index: receipt, request_id: requestId },
})

function describeUndo(undo: unknown): string {
  if (typeof undo !== 'object' || undo === null) return ''
  const { operation_id: id, undo_until: until } = undo as { operation_id?: unknown; undo_until?: unknown }
  return ` Can be undone until ${String(until)} with operation_id ${String(id)}.`
}
