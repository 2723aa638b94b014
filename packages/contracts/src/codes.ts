// Every code that leaves Bailiwick, once: its HTTP status, what it means, what the agent may do, what the operator checks.
// docs/errors.md is generated from this table; `toProblem` (problem.ts) is the only place where a denial becomes text.

type CodeText = {
  readonly status: number
  readonly title: string
  readonly cause: string
  readonly agent: string
  readonly operator: string
}

const code = (status: number, title: string, cause: string, agent: string, operator: string): CodeText => ({
  status,
  title,
  cause,
  agent,
  operator,
})

export const CODES = {
  // Request
  PARSE_ERROR: code(
    400,
    'The request could not be read',
    'The body is not valid JSON, has duplicate or forbidden keys, is nested too deep, too large, or a batch.',
    'Send one well-formed JSON object.',
    'Nothing, unless one client does it again and again.',
  ),
  INPUT_INVALID: code(
    400,
    'The input does not fit the tool',
    'A field is missing, unknown, of the wrong type or out of range.',
    'Read `errors`, correct the fields named there, call again.',
    'Nothing.',
  ),
  TOOL_UNKNOWN: code(404, 'There is no such tool', 'The name is not in the catalog.', 'List the tools.', 'Nothing.'),
  NOT_FOUND: code(
    404,
    'Not found',
    'No resource with this id in this account.',
    'List the resources and use an id from there.',
    'Nothing; for another account’s id the answer is the same on purpose.',
  ),
  CONFLICT: code(
    409,
    'Conflicts with what exists',
    'The name is taken in this account, or the thing is not in a state for this.',
    'Read `detail`; use another name or look at the resource first.',
    'Nothing.',
  ),
  RESOURCE_BUSY: code(
    409,
    'Another operation is working on it',
    'An operation on the same resource is not finished.',
    'Wait `retry_after_s` seconds and call again.',
    'An operation that stays: `./bailiwick status`, `get_operation`.',
  ),
  HOST_REFUSED: code(
    403,
    'This host or origin is not served',
    'The Host or Origin header names something else.',
    'Use the endpoint as it was given.',
    'The public name in the settings.',
  ),
  // Credential
  UNAUTHENTICATED: code(
    401,
    'No valid token',
    'The token is missing, malformed, unknown, expired or revoked.',
    'Ask the user for a valid token.',
    'The token’s state: `./bailiwick admin tokens list`.',
  ),
  TOKEN_IN_QUERY: code(
    400,
    'A token does not belong in a URL',
    'A token was sent in the query string, where logs keep it.',
    'Send it in the Authorization header. Tell the user to revoke that token.',
    'Revoke the token.',
  ),
  TOKEN_ADDRESS_REFUSED: code(
    403,
    'Not from this address',
    'The token may be used from listed addresses only.',
    'Stop; tell the user.',
    'The token’s address list.',
  ),
  TOKEN_PAUSED: code(
    403,
    'The token is paused',
    'A human or a guard paused it.',
    'Stop; tell the user that an owner or admin must resume it.',
    '`./bailiwick admin tokens resume ID --reason ...`.',
  ),
  TOKEN_BLOCKED: code(
    403,
    'The token is blocked',
    'It was used in a way that only an attacker would.',
    'Stop; tell the user.',
    'The account’s log around the block.',
  ),
  // Account and scope
  NO_ACCOUNT: code(
    403,
    'This person belongs to no account',
    'The person who connected is known to the identity provider, but is no member of an account here.',
    'Stop; tell the user to ask the operator for an account.',
    '`./bailiwick admin members list`.',
  ),
  AI_DEPLOY_GLOBALLY_DISABLED: code(
    403,
    'Agents are switched off',
    'The operator’s kill switch is on.',
    'Stop; tell the user.',
    '`./bailiwick admin kill off` when it is safe.',
  ),
  AI_DEPLOY_NOT_ENABLED: code(
    403,
    'Agents are not enabled for this account',
    'The account is at tier `none`.',
    'Stop; tell the user.',
    '`./bailiwick admin accounts tier`.',
  ),
  AI_DEPLOY_TIER_TOO_LOW: code(
    403,
    'The account’s tier allows reading only',
    'The account is at tier `sandbox`.',
    'Use read tools; tell the user.',
    'Promotion after the owner’s consent.',
  ),
  AI_DEPLOY_DAILY_LIMIT: code(
    429,
    'The day’s changes are used up',
    'Tier `beta` allows 500 changing calls per account and UTC day.',
    'Continue after `reset_at`.',
    'The account’s log; a higher tier.',
  ),
  INSUFFICIENT_SCOPE: code(
    403,
    'The token lacks a scope',
    'The tool needs scopes that the token does not have.',
    'Ask the user for a token with `required_scopes`.',
    'Nothing.',
  ),
  RESOURCE_FROZEN: code(
    403,
    'Frozen by a human',
    'The account or the resource is read-only until a human lifts it.',
    'Read only; tell the user.',
    '`./bailiwick admin freeze list`.',
  ),
  // Limits
  RATE_LIMITED: code(
    429,
    'Too many calls',
    'More calls in 60 s than the window allows.',
    'Wait `retry_after_s` seconds. Calling on pauses the token.',
    'Nothing.',
  ),
  IN_FLIGHT_LIMIT: code(
    503,
    'Too many calls at once',
    'The account has 8 calls in flight.',
    'Wait `retry_after_s` seconds and call again.',
    'Calls that hang: `./bailiwick status`.',
  ),
  QUOTA_EXCEEDED: code(
    409,
    'The quota is full',
    'The trash or the account’s quota is full; nothing older is evicted for it.',
    'Tell the user what the account holds.',
    'The account’s quota.',
  ),
  // Two-step delete and approval
  CONFIRMATION_REQUIRED: code(
    409,
    'Needs a preview and a confirmation',
    'A destructive call without `confirm: true`, or an undo that is a delete.',
    'Call the preview tool named in `next`, show the user its impact, wait for a yes.',
    'Nothing.',
  ),
  PREVIEW_TOKEN_MISSING: code(
    400,
    'The preview token is missing',
    'A destructive call without `preview_token`, or with one that never existed.',
    'Call the preview tool first.',
    'Nothing.',
  ),
  PREVIEW_TOKEN_EXPIRED: code(
    409,
    'The preview has expired',
    'More than 10 minutes since the preview.',
    'Preview again and ask the user again.',
    'Nothing.',
  ),
  PREVIEW_TOKEN_USED: code(
    409,
    'The preview was used',
    'A preview token works once.',
    'Look at `get_operation`; preview again if it is still wanted.',
    'Nothing.',
  ),
  PREVIEW_TOKEN_OWNERSHIP_MISMATCH: code(
    403,
    'The preview belongs to someone else',
    'Another principal made it.',
    'Make a preview of your own.',
    'The log: how did one principal get another’s token?',
  ),
  PREVIEW_TOKEN_RESOURCE_MISMATCH: code(
    409,
    'The preview is of something else',
    'It was made for another tool or resource.',
    'Preview what you mean to change.',
    'Nothing.',
  ),
  PREVIEW_STALE: code(
    409,
    'Changed since the preview',
    'The resource has a newer version than the preview showed.',
    'Preview again and show the user what changed.',
    'Nothing.',
  ),
  APPROVAL_REQUIRED: code(
    403,
    'A human must approve this',
    'The call touches something that only the account’s owner may decide.',
    'Stop and tell the user what you wanted to do and why it was held back.',
    'The owner does it, or approves it where approvals are available.',
  ),
  // Idempotency
  IDEMPOTENCY_KEY_INVALID: code(
    400,
    'The idempotency key is not a UUID v4',
    'Keys are UUID v4.',
    'Make one with a UUID v4 generator.',
    'Nothing.',
  ),
  IDEMPOTENCY_KEY_REUSED: code(
    409,
    'The idempotency key was used for something else',
    'Same key, other tool or input, within 24 hours.',
    'Use a new key for a new call.',
    'Nothing.',
  ),
  IDEMPOTENCY_IN_PROGRESS: code(
    409,
    'The same call is still running',
    'An earlier call with this key is not finished.',
    'Wait `retry_after_s` seconds and repeat the same call.',
    'An operation that stays: `get_operation`.',
  ),
  OUTCOME_UNKNOWN: code(
    202,
    'Whether it happened is not known yet',
    'A crash in between, and the backend cannot tell. Nothing is repeated blindly.',
    'Poll `get_operation`; do not repeat under a new key.',
    '`./bailiwick admin operations`: a human decides.',
  ),
  // Undo
  UNDO_CONFLICT: code(
    409,
    'Changed since',
    'What the operation left was changed afterwards; undo never overwrites silently.',
    'Read `conflicts`, show them to the user, choose.',
    'Nothing.',
  ),
  UNDO_EXPIRED: code(
    409,
    'The undo window is over',
    'More than the promised days have passed.',
    'A backup or point-in-time restore may still have it.',
    'Restore points of the account.',
  ),
  UNDO_UNAVAILABLE: code(
    409,
    'There is nothing to undo',
    'The operation changed nothing, is not finished, or was undone.',
    'Look at `get_operation`.',
    'Nothing.',
  ),
  SNAPSHOT_FAILED: code(
    507,
    'The snapshot failed, nothing was done',
    'The restore point could not be written or did not verify.',
    'Try later; tell the user.',
    'Space and health of the vault.',
  ),
  TABLE_HAS_NO_KEY: code(
    409,
    'The table has no primary key',
    'Rows can be changed undoably only by key.',
    'Use a table with a primary key.',
    'Nothing.',
  ),
  QUERY_REFUSED: code(
    400,
    'The query was refused by the database',
    'Not a read, a syntax error, or over its time or row bound.',
    'Read `detail`, correct the query.',
    'Nothing.',
  ),
  // Parts that are down
  AUDIT_UNAVAILABLE: code(
    503,
    'The log cannot be written',
    'Nothing happens unrecorded. A change that was accepted before the log failed may still be carried out once it is back.',
    'Wait. Repeat a change with the same idempotency key, or look at `operation_id` with get_operation first.',
    '`./bailiwick status`: audit, postgres, disk.',
  ),
  POLICY_UNAVAILABLE: code(
    503,
    'The policy service is down',
    'Nothing happens undecided.',
    'Wait and call again.',
    '`./bailiwick status`: policy, postgres.',
  ),
  LIMITS_UNAVAILABLE: code(
    503,
    'The limits cannot be counted',
    'Valkey is down; calls are refused rather than uncounted.',
    'Wait and call again.',
    '`./bailiwick status`: valkey.',
  ),
  IDENTITY_UNAVAILABLE: code(
    503,
    'The identity provider cannot be asked',
    'Its keys or its revocations are not known freshly enough to trust an access token. Personal tokens go on working.',
    'Wait and call again.',
    '`./bailiwick status`: keycloak.',
  ),
  SECRETS_UNAVAILABLE: code(
    503,
    'A secret cannot be read',
    'The secret store is down or sealed.',
    'Wait and call again.',
    'The secret store.',
  ),
  BACKEND_UNAVAILABLE: code(
    503,
    'A backend is down',
    'The steward, the keeper, the vault or the server behind them cannot be reached.',
    'Wait and call again; with the same idempotency key nothing happens twice.',
    '`./bailiwick status`, `./bailiwick logs keeper`.',
  ),
  CATALOG_MISMATCH: code(
    503,
    'Services disagree about the catalog',
    'An upgrade is half done.',
    'Wait and call again.',
    'Restart the services from one version.',
  ),
  PERMIT_REFUSED: code(
    403,
    'The permit was refused',
    'The steward got a permit that policy did not issue for this call.',
    'Nothing.',
    'The log. A forged permit means that the gateway is compromised.',
  ),
  INTERNAL: code(
    500,
    'An internal error',
    'A bug.',
    'Try once more; tell the user the request id.',
    '`./bailiwick logs`, with the request id.',
  ),
} as const satisfies Readonly<Record<string, CodeText>>

export type Code = keyof typeof CODES
export const isCode = (text: string): text is Code => Object.hasOwn(CODES, text)
