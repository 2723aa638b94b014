// The public documents that tell a client how to connect: made once at start, the same for everybody.
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'
import { SCOPES } from '@bailiwick/contracts/scopes'
import { VERSIONS } from './mcp-message.ts'

const UNDO_WINDOW_DAYS = UNDO_WINDOW_MS / 86_400_000
const DESCRIPTION = 'Operates one account of an operator’s own servers; nothing that an agent does is irreversible.'

/** Where things are, as a client sees it. */
export type Site = {
  readonly publicUrl: URL
  /** The authorization server; null: personal tokens only. */
  readonly issuer: string | null
}

export const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp'
const endpoint = ({ publicUrl }: Site): string => new URL('/mcp', publicUrl).href
const authorizationServers = ({ issuer }: Site): object => (issuer === null ? {} : { authorization_servers: [issuer] })

/** RFC 9728. Refresh tokens are no matter of the resource's: `offline_access` is not among its scopes (MCP 2026-07-28, authorization). */
export const makeResourceMetadata = (site: Site): object => ({
  resource: endpoint(site),
  resource_name: 'Bailiwick',
  ...authorizationServers(site),
  scopes_supported: SCOPES.filter((scope) => scope !== 'offline_access'),
  bearer_methods_supported: ['header'],
})

/** mechanisms.md §2: how to get in, and tool -> scopes, risk, undo window. */
export const makeMcpDescription = (site: Site, catalog: LoadedCatalog, version: string): object => ({
  name: 'bailiwick',
  version,
  endpoint: endpoint(site),
  transport: 'streamable-http',
  protocol_versions: VERSIONS,
  openapi: new URL('/api/v1/openapi.json', site.publicUrl).href,
  server_card: new URL('/mcp/server-card', site.publicUrl).href,
  authorization: {
    required: true,
    header: 'Authorization: Bearer <token>',
    /** Both are sent alike. */
    tokens: [...(site.issuer === null ? [] : ['oauth2']), 'personal'],
    resource_metadata: new URL(METADATA_PATH, site.publicUrl).href,
    ...authorizationServers(site),
    scopes: SCOPES,
  },
  catalog_hash: catalog.hash,
  tools: catalog.list.map(({ name, title, scopes, risk, effect }) => ({
    name,
    title,
    scopes,
    risk,
    effect,
    undo_window_days: effect === 'exact' || effect === 'recoverable' ? UNDO_WINDOW_DAYS : null,
  })),
})

/**
 * The draft of SEP-2127 (extension `server-card`, schema v1): where to connect and with which revisions, no tools. It lies at
 * `<endpoint>/server-card`, and the catalog below says so.
 */
export const makeServerCard = (site: Site, version: string): object => ({
  $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
  name: `${reverseName(site.publicUrl)}/bailiwick`,
  version,
  title: 'Bailiwick',
  description: DESCRIPTION,
  remotes: [
    {
      type: 'streamable-http',
      url: endpoint(site),
      supportedProtocolVersions: VERSIONS,
      ...(site.issuer === null ? { headers: [PERSONAL_TOKEN] } : {}),
    },
  ],
})

/** Without an authorization server a client has to be given a token. */
const PERSONAL_TOKEN = {
  name: 'Authorization',
  description: '`Bearer `, followed by a personal token of this installation.',
  isRequired: true,
  isSecret: true,
}

/** The draft's discovery by domain: which cards there are. */
export const makeAiCatalog = ({ publicUrl }: Site): object => ({
  specVersion: '1.0',
  entries: [
    {
      identifier: `urn:air:${hostOf(publicUrl)}:mcp:bailiwick`,
      type: SERVER_CARD_TYPE,
      url: new URL('/mcp/server-card', publicUrl).href,
    },
  ],
})
export const SERVER_CARD_TYPE = 'application/mcp-server-card+json'

/** An IPv6 address has no place in either name. */
const hostOf = ({ hostname }: URL): string => (hostname.startsWith('[') ? 'localhost' : hostname)
const reverseName = (url: URL): string => {
  const host = hostOf(url)
  return /^[\d.]+$/.test(host) ? host : host.split('.').toReversed().join('.')
}

const EXPIRES_MS = 180 * 86_400_000

/** RFC 9116. `Expires` moves with the day that it is asked for: it says that somebody still serves it. */
export function writeSecurityTxt({ publicUrl }: Site, contact: string, now: number): string {
  const expires = new Date(Math.floor((now + EXPIRES_MS) / 86_400_000) * 86_400_000)
  return [
    `Contact: ${contact}`,
    `Expires: ${expires.toISOString()}`,
    `Canonical: ${new URL('/.well-known/security.txt', publicUrl).href}`,
    'Preferred-Languages: en',
    '',
  ].join('\n')
}
