// What a composition of its own may add to the protocol's surface: test/conformance has a main for it. The product's main passes
// none, and no setting can. Nothing here is asked before policy decided and the steward executed.
import type {
  CallToolResult,
  GetPromptResult,
  InputRequiredResult,
  Prompt,
  ReadResourceResult,
  Resource,
  ResourceTemplateType,
  Server,
  ServerCapabilities,
  ServerContext,
  ServerEventBus,
} from '@modelcontextprotocol/server'
import type { Members } from './members.ts'

type Maybe<T> = T | InputRequiredResult | null | Promise<T | InputRequiredResult | null>

export type Extras = {
  /** Merged over the product's own. */
  readonly capabilities?: ServerCapabilities
  /** Listed after the product's own. */
  readonly resources?: readonly Resource[]
  readonly templates?: readonly ResourceTemplateType[]
  readonly prompts?: readonly Prompt[]
  /** Null: not there. */
  readResource?(uri: string, context: ServerContext): Maybe<ReadResourceResult>
  getPrompt?(name: string, args: Readonly<Record<string, string>>, context: ServerContext): Maybe<GetPromptResult>
  /** What the output of a call that was executed becomes; null: the product's own shape. `params` as they were received. */
  shapeCall?(call: { tool: string; params: Members; output: Members }, context: ServerContext): Maybe<CallToolResult>
  /** The last touch on each request's server, before it is connected. */
  configure?(server: Server): void
  /** List changes to announce on open streams, beside those that policy reports. */
  readonly changes?: ServerEventBus
}
