// The routes of the public documents. They say the same to everybody and take no credential, so pages of any origin may read them;
// that is what discovery in a browser needs, and it opens nothing else.
import type express from 'express'
import type { LoadedCatalog } from '@bailiwick/contracts/catalog'
import { sha256Hex } from '@bailiwick/kernel/canonical'
import { writeText, type Headers } from './answer.ts'
import { makeOpenApi } from './openapi.ts'
import {
  makeAiCatalog,
  makeMcpDescription,
  makeResourceMetadata,
  makeServerCard,
  METADATA_PATH,
  SERVER_CARD_TYPE,
  writeSecurityTxt,
  type Site,
} from './well-known.ts'

const READABLE_BY_ALL: Headers = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET',
  'Access-Control-Allow-Headers': 'Content-Type, If-None-Match',
  'Access-Control-Expose-Headers': 'ETag',
}
const MINUTES = 'public, max-age=300'
const HOUR = 'public, max-age=3600'

export function servePublicDocuments(
  app: express.Express,
  site: Site,
  options: { catalog: LoadedCatalog; version: string; securityContact: string | undefined },
): void {
  const { catalog, version, securityContact } = options
  const publish = (path: string, write: () => string, type = 'application/json', caching = MINUTES): void => {
    app.get(path, (request, response) => {
      const text = write()
      const headers = { ...READABLE_BY_ALL, 'Cache-Control': caching, ETag: `"${sha256Hex(text).slice(0, 32)}"` }
      if (request.headers['if-none-match'] !== headers.ETag) return writeText(response, 200, text, type, headers)
      response.writeHead(304, headers).end()
    })
    app.options(path, (_request, response) => response.writeHead(204, READABLE_BY_ALL).end())
  }
  const constant = (document: object): (() => string) => {
    const text = JSON.stringify(document)
    return () => text
  }
  const metadata = constant(makeResourceMetadata(site))
  publish('/.well-known/oauth-protected-resource', metadata)
  publish(METADATA_PATH, metadata)
  publish('/.well-known/mcp.json', constant(makeMcpDescription(site, catalog, version)))
  publish('/api/v1/openapi.json', constant(makeOpenApi(site.publicUrl, catalog, version)))
  publish('/mcp/server-card', constant(makeServerCard(site, version)), SERVER_CARD_TYPE, HOUR)
  publish('/.well-known/ai-catalog.json', constant(makeAiCatalog(site)), 'application/ai-catalog+json', HOUR)
  if (securityContact)
    publish(
      '/.well-known/security.txt',
      () => writeSecurityTxt(site, securityContact, Date.now()),
      'text/plain; charset=utf-8',
      HOUR,
    )
}
