// What an agent can read about this server, generated from the catalog and the table of codes, so that it cannot say anything else
// than what is served. Only the first page is the caller's own; the others are the same for everybody.
import type { CatalogTool, LoadedCatalog } from '@bailiwick/contracts/catalog'
import { CODES } from '@bailiwick/contracts/codes'
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'

const code = (text: string): string => `\`${text}\``
const cell = (text: string): string => text.replaceAll('|', '\\|')
const row = (...cells: string[]): string => `| ${cells.map(cell).join(' | ')} |`
const table = (head: readonly string[], rows: readonly string[][]): string =>
  [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n')
const page = (...paragraphs: string[]): string => `${paragraphs.join('\n\n')}\n`

export const domainsOf = (catalog: LoadedCatalog): string[] =>
  [...new Set(catalog.list.map(({ domain }) => domain))].sort()

const scopesOf = ({ scopes }: CatalogTool): string =>
  scopes.length > 0 ? scopes.map(code).join(' ') : 'those of what it works on'

/** `callable`: what policy says that this caller may call now. */
export function writeOwnPage(catalog: LoadedCatalog, callable: readonly string[]): string {
  const mine = new Set(callable)
  const sections = domainsOf(catalog).map((domain) => {
    const tools = catalog.list.filter((tool) => tool.domain === domain)
    const open = tools.filter(({ name }) => mine.has(name)).map(({ name, risk }) => [code(name), risk])
    const shut = tools.filter(({ name }) => !mine.has(name))
    const lines = [`## ${domain}`]
    if (open.length > 0) lines.push(table(['you may call', 'risk'], open))
    if (shut.length > 0)
      lines.push(`Not now: ${shut.map((tool) => `${code(tool.name)} (${scopesOf(tool)})`).join(', ')}.`)
    return lines.join('\n\n')
  })
  return page(
    '# What can I do here?',
    'These are the tools that your token may call now; it changes when the user grants or takes away scopes and when the operator changes the account’s tier.',
    ...sections,
    '## What is missing, and how to ask for it',
    'Each tool that you may not call names the scopes that it needs. Tell the user which ones you need and what for; do not ask for more than the task takes.',
    '- Connected by OAuth: call the tool. The answer is 403 `insufficient_scope` with all scopes of the operation, and your client asks the user for them.\n- With a personal token: its scopes cannot grow. The user has a new one issued.\n- Scopes are there and the tool is still missing: the account’s tier allows reading only, or none. Only the operator changes that. `whoami` says which scopes and tier you have.',
    'How deleting and undoing work: `bailiwick://undo`. What an error code asks of you: `bailiwick://errors`.',
  )
}

export const writeToolsPage = (catalog: LoadedCatalog): string =>
  page(
    '# Tools by domain',
    table(
      ['domain', 'tools', 'page'],
      domainsOf(catalog).map((domain) => [
        domain,
        String(catalog.list.filter((tool) => tool.domain === domain).length),
        code(`bailiwick://tools/${domain}`),
      ]),
    ),
  )

export function writeDomainPage(catalog: LoadedCatalog, domain: string): string {
  const tools = catalog.list.filter((tool) => tool.domain === domain)
  return page(
    `# ${domain}`,
    table(
      ['tool', 'scopes', 'risk', 'what it does'],
      tools.map((tool) => [code(tool.name), scopesOf(tool), tool.risk, tool.summary]),
    ),
  )
}

export const writeErrorsPage = (): string =>
  page(
    '# Error codes',
    'Every refusal is an object with `code`, `title`, `detail`, `next` and `request_id`. Do what `next` says. Where it says to stop, stop and tell the user.',
    table(
      ['code', 'HTTP', 'what happened', 'what you do'],
      Object.entries(CODES).map(([name, { status, cause, agent }]) => [code(name), String(status), cause, agent]),
    ),
  )

const DAYS = UNDO_WINDOW_MS / 86_400_000

export function writeUndoPage(catalog: LoadedCatalog): string {
  const deletes = catalog.list.flatMap(({ name, confirms }) =>
    confirms ? [[code(confirms.preview_tool), code(name), code(confirms.field)]] : [],
  )
  return page(
    '# Deleting and undoing',
    `Nothing that you can call destroys anything. A delete takes a verified snapshot and puts the thing aside; it can be brought back for ${DAYS} days. Most other changes keep what was there before.`,
    '## Deleting takes two steps and a human',
    '1. Call the preview tool. It answers with the impact and a `preview_token` that works once, for 10 minutes, for this resource as it is now.\n2. Show the user the impact, all of it, and wait for a clear yes.\n3. Call the delete tool with the same arguments, the `preview_token` and `confirm: true`; or `confirm_action`.',
    table(['preview', 'delete', 'bound to'], deletes),
    '## Undoing',
    '- An answer with `undo` can be undone until `undo_until`: call `undo` with its `operation_id`. `preview_undo` says first whether it would work.\n- Undo never overwrites silently. If something was changed since, the answer is `UNDO_CONFLICT` with what differs: show it to the user and let them choose.\n- An undo is an operation too, and can be undone.\n- Lost the id? `list_trash` has what was deleted, `list_my_activity` what was called, `get_operation` one operation.',
    '## A lost answer',
    'Give each changing call an `idempotency_key` (UUID v4). Repeat the same call with the same key: it happens once, and you get the stored answer. A secret is never stored: the repeated call makes a fresh one.',
  )
}
