// A request that the gateway cannot read. It still goes to policy, so that it is counted and on the record; policy's own no
// (no token, too many calls) wins over ours.
import { deny, type Denial } from '@bailiwick/contracts/problem'

export type Unreadable = {
  /** A fixed word for the log, never text of the request. */
  readonly reason: string
  readonly denial: Denial
  /** The HTTP status that says it best; the problem's `status` follows it. */
  readonly status: number
  /** The request was not read to its end: the connection cannot be used again. */
  readonly hangUp: boolean
  /** What a JSON-RPC caller gets; the codes are the protocol's own. */
  readonly rpc: { readonly id: string | number | null; readonly code: number; readonly data?: unknown }
}

const RPC_PARSE_ERROR = -32_700
export const RPC_INVALID_REQUEST = -32_600
export const RPC_INVALID_PARAMS = -32_602
export const RPC_HEADER_MISMATCH = -32_020
export const RPC_MISSING_CAPABILITY = -32_021
export const RPC_UNSUPPORTED_VERSION = -32_022

export function unreadable(
  reason: string,
  detail: string,
  more: { status?: number; hangUp?: boolean; rpc?: Unreadable['rpc']; denial?: Denial } = {},
): Unreadable {
  const { status = 400, hangUp = false, rpc = { id: null, code: RPC_PARSE_ERROR } } = more
  return { reason, status, hangUp, rpc, denial: more.denial ?? deny('PARSE_ERROR', { detail }) }
}
