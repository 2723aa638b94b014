// Resources and prompts as the protocol lists and reads them: the product's own (guide.ts, prompts.ts), then those of a composition.
import {
  INVALID_PARAMS,
  ProtocolError,
  ResourceNotFoundError,
  type GetPromptResult,
  type InputRequiredResult,
  type Prompt,
  type ReadResourceResult,
  type Resource,
  type ResourceTemplateType,
  type ServerContext,
} from '@modelcontextprotocol/server'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import type { Extras } from './extras.ts'
import { domainsOf, writeDomainPage, writeErrorsPage, writeOwnPage, writeToolsPage, writeUndoPage } from './guide.ts'
import { getPrompt, PROMPTS } from './prompts.ts'

export type Library = {
  readonly resources: readonly Resource[]
  readonly templates: readonly ResourceTemplateType[]
  readonly prompts: readonly Prompt[]
  /** `callable`: the caller's own tools, for the page that is the caller's own. */
  read(
    uri: string,
    callable: readonly string[],
    context: ServerContext,
  ): Promise<ReadResourceResult | InputRequiredResult>
  get(
    name: string,
    args: Readonly<Record<string, string>>,
    context: ServerContext,
  ): Promise<GetPromptResult | InputRequiredResult>
}

const MARKDOWN = 'text/markdown'
/** What everybody reads changes with an upgrade only; the own page with scopes and tier, at any moment. */
export const PUBLIC = { ttlMs: 3_600_000, cacheScope: 'public' } as const
export const OWN = { ttlMs: 30_000, cacheScope: 'private' } as const

export function makeLibrary(catalog: LoadedCatalog, extras: Extras = {}): Library {
  const pages = new Map<string, { title: string; text: string }>([
    ['bailiwick://tools', { title: 'Tools by domain', text: writeToolsPage(catalog) }],
    ...domainsOf(catalog).map(
      (domain) =>
        [`bailiwick://tools/${domain}`, { title: `Tools: ${domain}`, text: writeDomainPage(catalog, domain) }] as const,
    ),
    ['bailiwick://errors', { title: 'Error codes', text: writeErrorsPage() }],
    ['bailiwick://undo', { title: 'Deleting and undoing', text: writeUndoPage(catalog) }],
  ])
  const own: Resource = {
    uri: 'bailiwick://me',
    name: 'me',
    title: 'What can I do here?',
    description: 'The tools that your token may call now, what is missing, and how to ask for it.',
    mimeType: MARKDOWN,
  }
  const listed = [...pages].map(([uri, { title }]) => ({
    uri,
    name: uri.slice('bailiwick://'.length),
    title,
    mimeType: MARKDOWN,
  }))
  const template = {
    uriTemplate: 'bailiwick://tools/{domain}',
    name: 'tools-of-domain',
    title: 'Tools of one domain',
    description: `Scopes, risk and summary of each tool. Domains: ${domainsOf(catalog).join(', ')}.`,
    mimeType: MARKDOWN,
  }
  return {
    resources: [own, ...listed, ...(extras.resources ?? [])],
    templates: [template, ...(extras.templates ?? [])],
    prompts: [...PROMPTS, ...(extras.prompts ?? [])],
    async read(uri, callable, context) {
      if (uri === own.uri) return { ...toContents(uri, writeOwnPage(catalog, callable)), ...OWN }
      const page = pages.get(uri)
      if (page) return { ...toContents(uri, page.text), ...PUBLIC }
      const found = await extras.readResource?.(uri, context)
      if (!found) throw new ResourceNotFoundError(uri)
      return found
    },
    async get(name, args, context) {
      const found =
        getPrompt(name, args) ?? (await extras.getPrompt?.(name, args, context)) ?? 'There is no such prompt.'
      if (typeof found === 'string') throw new ProtocolError(INVALID_PARAMS, found)
      return found
    },
  }
}

const toContents = (uri: string, text: string): ReadResourceResult => ({
  contents: [{ uri, mimeType: MARKDOWN, text }],
})
