// The door's routes.
import type { Handlers } from '@bailiwick/kernel/door'
import { Fault } from '@bailiwick/kernel/result'
import type { auditDoor } from '@bailiwick/contracts/doors/audit'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

export const auditHandlers = (writer: Writer, reader: Reader): Handlers<typeof auditDoor> => ({
  intend: (entry) => writer.write(entry),
  outcome: (entry) => writer.write(entry),
  append: async ({ event_id, ...entry }, { caller }) => {
    // An intent is what the reaper destroys by, and only the steward may say one.
    if (entry.kind === 'intent' || entry.kind === 'outcome')
      throw new Fault('MESSAGE_INVALID', `${entry.kind} has a route of its own`)
    // Only policy hears of other systems' events: nobody else can take an id before the event comes.
    if (event_id !== null && caller !== 'policy')
      throw new Fault('MESSAGE_INVALID', `${caller} has no events of other systems to tell of`)
    return writer.write(entry, event_id)
  },
  query: (question) => reader.query(question),
  intent_of: async ({ operation_id }) => ({ intent: await reader.intentOf(operation_id) }),
})
