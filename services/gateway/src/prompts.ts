// Prompts for the common jobs. Each walks through preview, show, ask: a prompt is where a user starts, so the careful way is the one
// that it starts with. What a user types into an argument stays data: it is quoted on a line of its own.
import type { GetPromptResult, Prompt } from '@modelcontextprotocol/server'

type Argument = { readonly name: string; readonly description: string; readonly required: boolean }
type Job = {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly arguments: readonly Argument[]
  readonly steps: readonly string[]
}

const needs = (name: string, description: string): Argument => ({ name, description, required: true })
const takes = (name: string, description: string): Argument => ({ name, description, required: false })

const START =
  'Call `whoami` and read `bailiwick://me`. If a tool that you need is missing, say which scopes it takes and stop.'
const KEY = 'Give every changing call an `idempotency_key` (UUID v4) and repeat a lost call with the same key.'
const REPORT = 'At the end list what was changed, each with its `operation_id` and until when it can be undone.'

const JOBS: readonly Job[] = [
  {
    name: 'put_domain_into_service',
    title: 'Put a domain into service',
    description: 'Adds a domain, proves that it is the user’s, and sets its first records.',
    arguments: [
      needs('domain', 'The domain, such as example.com'),
      takes('target', 'Where it should point: an address or a host name'),
    ],
    steps: [
      'Call `list_domains`: perhaps it is there already.',
      'Call `add_domain`. Show the user the record that proves ownership and the name servers, say where to enter them, and wait.',
      'When the user says that it is done, call `verify_domain`, then `check_domain`. If it is not visible yet, say so; do not hurry it.',
      'Propose the first records as a table (name, type, TTL, value), ask for a yes, then call `set_dns_records` one name and type at a time.',
      'Call `list_dns_records` and compare with what was agreed.',
    ],
  },
  {
    name: 'change_dns_safely',
    title: 'Move or change DNS records safely',
    description: 'Changes DNS records with a comparison before and after, and a way back.',
    arguments: [needs('domain', 'The domain'), needs('goal', 'What should be different afterwards')],
    steps: [
      'Call `list_dns_records` and `list_dns_versions`. Note the present version: it is the way back.',
      'Write down each record set that would change: before, after, and who notices. Mark MX, SPF, DKIM, DMARC, NS, CAA and DS: these take the owner’s approval.',
      'Show it to the user and wait for a yes. Lower long TTLs first where the change should be quick to take back.',
      'Call `set_dns_records` for what was agreed, nothing else. To remove a set: `preview_delete_dns_records`, show, ask, `delete_dns_records`.',
      'Call `diff_dns_versions` between the noted version and now, and show it. Anything unexpected: `undo`, or `restore_dns_version` after asking.',
    ],
  },
  {
    name: 'make_database',
    title: 'Make a database and its first table',
    description: 'Creates a database with a table, and hands over its login once.',
    arguments: [needs('name', 'Name of the database'), takes('purpose', 'What will be kept in it')],
    steps: [
      'Call `list_databases`: the name may be taken.',
      'Propose a first table (columns, types, a primary key: rows can be changed undoably only by key) and ask for a yes.',
      'Call `create_database`. Its login is in the answer once: hand it to the user as they want it, keep it nowhere else. Lost: `rotate_database_password`.',
      'Call `create_table`, then `describe_tables`, and show the result.',
    ],
  },
  {
    name: 'find_and_undo',
    title: 'Find out what changed, and undo it',
    description: 'Looks for the operation behind a change and takes it back, if nothing since stands in the way.',
    arguments: [
      needs('what', 'What is different from what it should be'),
      takes('since', 'Since when, as far as known'),
    ],
    steps: [
      'Call `list_my_activity` and, for DNS, `list_dns_versions` with `diff_dns_versions`. Look for changing calls in that time.',
      'Call `get_operation` for each candidate. Say which one it probably is, and why.',
      'Call `preview_undo`. Show the user what undo would do and what stands in its way, and wait for a yes.',
      'Call `undo`. At `UNDO_CONFLICT` show the conflicts and let the user choose; do not work around them.',
    ],
  },
  {
    name: 'recover_deleted',
    title: 'Recover a deleted thing',
    description: 'Brings back what was deleted within the window.',
    arguments: [needs('what', 'What was deleted: kind and name')],
    steps: [
      'Call `list_trash`, page by page, until it is found. Several with that name: show them with their times and ask which.',
      'Call `preview_undo` with its `operation_id` and show what would come back.',
      'After a yes call `undo`, then look at the thing with its own tools.',
      'Not in the trash any more: say so. A deleted database can also be restored to a moment: `restore_database_to_new`.',
    ],
  },
  {
    name: 'review_activity',
    title: 'Review what agents did',
    description: 'Summarizes the recorded calls of this account’s agents. Changes nothing.',
    arguments: [takes('since', 'From when on, as ISO 8601')],
    steps: [
      'Call `list_my_activity` page by page for the time asked for. Change nothing in this job.',
      'Group by tool: how often, what was refused with which code, what was deleted, whether a secret was handed out.',
      'Point out what a careful owner would ask about: deletes, refusals in a row, changes at odd hours, scopes that were never used.',
      'Name for each change whether it can still be undone, and until when (`get_operation`). Offer to undo nothing unasked.',
    ],
  },
  {
    name: 'restore_database',
    title: 'Restore a database to a moment',
    description: 'Brings a database back as it was at a moment, beside the present one.',
    arguments: [
      needs('database', 'Name or id of the database'),
      needs('moment', 'When it was still right, with time zone'),
    ],
    steps: [
      'Find it with `list_databases`, or with `list_trash` if it was deleted. `get_database` says from when on it can be restored (`restorable_from`).',
      'Settle the moment with the user as ISO 8601 with offset: a little before the damage. Say that the present database is not touched.',
      'After a yes call `restore_database_to_new` with a new name. It may take minutes: poll with `get_operation`, or as a task.',
      'Compare both with `describe_tables` and `run_read_query`; show what differs.',
      'What to do then is the user’s: use the new one, or copy rows back with `insert_rows` and `update_rows` after showing them. Do not delete the old one here.',
    ],
  },
]

export const PROMPTS: readonly Prompt[] = JOBS.map(({ name, title, description, arguments: named }) => ({
  name,
  title,
  description,
  arguments: named.map((argument) => ({ ...argument })),
}))

const MAX_ARGUMENT_CHARS = 1000

/** A text: what is wrong with the arguments. Null: there is no such prompt. */
export function getPrompt(name: string, given: Readonly<Record<string, string>>): GetPromptResult | string | null {
  const job = JOBS.find((each) => each.name === name)
  if (!job) return null
  const missing = job.arguments.find((each) => each.required && !given[each.name]?.trim())
  if (missing) return `The argument ${missing.name} is missing.`
  if (Object.values(given).some((value) => value.length > MAX_ARGUMENT_CHARS)) return 'An argument is too long.'
  const named = job.arguments.flatMap(({ name: argument }) =>
    given[argument] === undefined ? [] : [`- ${argument}: ${JSON.stringify(given[argument])}`],
  )
  const steps = [START, ...job.steps, KEY, REPORT].map((step, index) => `${index + 1}. ${step}`)
  const text = [`${job.title}, with the tools of Bailiwick.`, ...named, '', ...steps].join('\n')
  return { description: job.description, messages: [{ role: 'user', content: { type: 'text', text } }] }
}
