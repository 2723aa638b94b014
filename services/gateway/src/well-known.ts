// The public documents that tell a client how to connect: made once at start, the same for everybody.
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { UNDO_WINDOW_MS } from '@bailiwick/contracts/permit'
import { SCOPES } from '@bailiwick/contracts/scopes'
import { VERSIONS } from './mcp-message.ts'

const UNDO_WINDOW_DAYS = UNDO_WINDOW_MS / 86_400_000

/** RFC 9728. The authorization server joins when there is one; personal tokens need none. */
export const makeResourceMetadata = (publicUrl: URL): object => ({
  resource: new URL('/mcp', publicUrl).href,
  resource_name: 'Bailiwick',
  scopes_supported: SCOPES,
  bearer_methods_supported: ['header'],
})

/** mechanisms.md §2: tool -> scopes, risk, undo window. */
export const makeMcpDescription = (publicUrl: URL, catalog: LoadedCatalog, version: string): object => ({
  name: 'bailiwick',
  version,
  endpoint: new URL('/mcp', publicUrl).href,
  transport: 'streamable-http',
  protocol_versions: VERSIONS,
  openapi: new URL('/api/v1/openapi.json', publicUrl).href,
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
