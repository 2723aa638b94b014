// The registrations of today's MCP clients, as they send them (read from each program or its source), each the whole way to an
// answered call; then the SDK's own OAuth client, which finds everything by itself. docs/connect/ tells people about the same clients.
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  type OAuthClientProvider,
} from '@modelcontextprotocol/client'
import { OAuthAgent } from './oauth-agent.ts'
import { newProof } from './oauth.ts'
import { invite } from './people.ts'
import type { Person } from './person.ts'
import { freshAccount, sharedStack, type Account } from './shared-stack.ts'

const stack = sharedStack()
// Registrations are limited per address: each client comes from one of its own.
const addressOf = (index: number): string => `127.0.0.${30 + index}`
let account: Account
let person: Person

beforeAll(async () => {
  account = await freshAccount(stack, 'connect-clients')
  ;({ person } = await invite(stack, account.id, addressOf(0)))
})

type ConnectClient = {
  readonly name: string
  /** What it registers, beside `scope`: that is what the 401 or the metadata name. */
  readonly registration: {
    readonly client_name: string
    readonly redirect_uris: readonly string[]
    readonly token_endpoint_auth_method: string
    readonly [member: string]: unknown
  }
  readonly redirect: string
  /** Further parameters of its authorization request. */
  readonly asks?: Readonly<Record<string, string>>
  /** Beside ours: with `offline_access`; or everything that the authorization server's metadata name. */
  readonly scope?: 'with offline_access' | 'all it finds'
  /** What the person reads: where the answer goes. */
  readonly shown: string
}

const native = {
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
}
const VS_CODE = {
  ...native,
  client_name: 'Visual Studio Code',
  client_uri: 'https://code.visualstudio.com',
  application_type: 'native',
  redirect_uris: [
    'https://insiders.vscode.dev/redirect',
    'https://vscode.dev/redirect',
    'http://127.0.0.1/',
    'http://127.0.0.1:33418/',
  ],
}
const CURSOR = {
  ...native,
  client_name: 'Cursor',
  redirect_uris: [
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'https://www.cursor.com/agents/mcp/oauth/callback',
    'http://localhost:8787/callback',
  ],
}
/** A server that holds its secret, and sends it in the body. */
const claudeAt = (redirect: string): ConnectClient => ({
  name: `Claude (Desktop, web) at ${redirect}`,
  registration: {
    ...native,
    client_name: 'Claude',
    token_endpoint_auth_method: 'client_secret_post',
    redirect_uris: [redirect],
  },
  redirect,
  shown: new URL(redirect).hostname,
})
const local = (name: string, client_name: string, redirect: string, more: Partial<ConnectClient> = {}) => ({
  name,
  registration: { ...native, client_name, redirect_uris: [redirect], application_type: 'native' },
  redirect,
  shown: new URL(redirect).hostname,
  ...more,
})

const CLIENTS: readonly ConnectClient[] = [
  local('Claude Code, registering', 'Claude Code (bailiwick)', 'http://localhost:63417/callback', {
    asks: { prompt: 'consent' },
    scope: 'with offline_access',
  }),
  claudeAt('https://claude.ai/api/mcp/auth_callback'),
  claudeAt('https://claude.com/api/mcp/auth_callback'),
  local('mcp-remote, for Claude Desktop', 'MCP CLI Proxy', 'http://localhost:19683/oauth/callback', {
    scope: 'with offline_access',
  }),
  { name: 'VS Code', registration: VS_CODE, redirect: 'http://127.0.0.1:33418/', shown: '127.0.0.1' },
  {
    name: 'VS Code, where its port is taken',
    registration: VS_CODE,
    redirect: 'http://127.0.0.1:59656/',
    shown: '127.0.0.1',
  },
  {
    name: 'VS Code in the browser',
    registration: VS_CODE,
    redirect: 'https://vscode.dev/redirect',
    shown: 'vscode.dev',
  },
  { name: 'Cursor', registration: CURSOR, redirect: 'http://localhost:8787/callback', shown: 'localhost' },
  {
    name: 'Cursor, by its own scheme',
    registration: CURSOR,
    redirect: 'cursor://anysphere.cursor-mcp/oauth/callback',
    shown: 'an app on this device (cursor:)',
  },
  {
    name: 'Cursor on the web',
    registration: CURSOR,
    redirect: 'https://www.cursor.com/agents/mcp/oauth/callback',
    shown: 'www.cursor.com',
  },
  local('Codex', 'Codex', 'http://127.0.0.1:46085/callback', { scope: 'with offline_access' }),
  local('Codex, with a path of the moment', 'Codex', 'http://127.0.0.1:46085/callback/tg1yX6ygyRCt', {
    scope: 'with offline_access',
  }),
  local('Gemini CLI', 'Gemini CLI MCP Client', 'http://localhost:7777/oauth/callback', { scope: 'all it finds' }),
  local('the Inspector’s command line', 'MCP Inspector', 'http://127.0.0.1:6276/oauth/callback', {
    asks: { prompt: 'consent' },
    scope: 'with offline_access',
  }),
  local('the Inspector in the browser', 'MCP Inspector', 'http://localhost:6274/oauth/callback'),
]

describe('a client registers, the person sees where the answer goes, and the token works', () => {
  test.each(CLIENTS.map((client, index) => [client.name, client, addressOf(index + 1)] as const))(
    '%s',
    async (_name, { registration, redirect, asks = {}, scope: wanted, shown }, address) => {
      const agent = new OAuthAgent(stack, address)
      const { scopes_supported: all } = await agent.discover()
      const ours = all.filter((one) => one.includes(':'))
      const scopes =
        wanted === 'all it finds' ? all : wanted === 'with offline_access' ? [...ours, 'offline_access'] : ours
      const scope = scopes.join(' ')
      const registered = await agent.register({ ...registration, scope })
      expect([registered.status, registered.body['error_description']]).toEqual([201, undefined])
      expect(new Set(registered.body['redirect_uris'] as string[])).toEqual(new Set(registration.redirect_uris))
      expect(registered.body['token_endpoint_auth_method']).toBe(registration.token_endpoint_auth_method)

      const { verifier, challenge } = newProof()
      const url = agent.authorizationUrl(scope, challenge, { redirect_uri: redirect, ...asks })
      const { params, pages } = await person.visit(url, redirect)
      expect(pages.at(-1)).toBe('tick')
      expect(person.page).toContain(registration.client_name)
      expect(person.page).toContain(shown)
      expect(params).toMatchObject({ iss: agent.metadata!.issuer })

      const isConfidential = registration.token_endpoint_auth_method !== 'none'
      const { status, body } = await agent.exchange(params['code']!, verifier, {
        redirect_uri: redirect,
        ...(isConfidential ? { client_secret: String(registered.body['client_secret']) } : {}),
      })
      expect([status, body]).toEqual([200, expect.objectContaining({ access_token: expect.any(String) as string })])
      expect((await agent.call(body.access_token, 'whoami')).body).toMatchObject({ account: { id: account.id } })
    },
  )
})

describe('the SDK’s own client', () => {
  test('is led from the endpoint’s address alone to a session with what the person ticked', async () => {
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(stack.caFile, 'utf8')])
    const authProvider = new MemoryProvider()
    const open = () => new StreamableHTTPClientTransport(new URL(`${stack.origin}/mcp`), { authProvider })

    const refused = open()
    const about = { name: 'sdk-client', version: '1.0.0' }
    await expect(new Client(about).connect(refused)).rejects.toThrow(UnauthorizedError)
    const { params, url } = await person.visit(authProvider.asked!.href, authProvider.redirectUrl, {
      tick: () => ['profile:read', 'databases:read'],
    })
    expect(params).toHaveProperty('code')
    await refused.finishAuth(url.searchParams)

    const client = new Client(about)
    await client.connect(open())
    try {
      const names = (await client.listTools()).tools.map(({ name }) => name)
      expect(names).toContain('list_databases')
      expect(names).not.toContain('create_database')
      const { structuredContent } = await client.callTool({ name: 'whoami', arguments: {} })
      expect(structuredContent).toMatchObject({
        account: { id: account.id },
        scopes: ['databases:read', 'profile:read'],
      })
    } finally {
      await client.close()
    }
  })
})

type Kept = Awaited<ReturnType<OAuthClientProvider['clientInformation']>>
type KeptTokens = Awaited<ReturnType<OAuthClientProvider['tokens']>>

/** What the SDK asks a program to keep, kept in memory. */
class MemoryProvider implements OAuthClientProvider {
  readonly redirectUrl = 'http://127.0.0.1:41234/callback'
  readonly clientMetadata = { ...native, client_name: 'SDK client', redirect_uris: [this.redirectUrl] }
  asked: URL | undefined
  #client: Kept
  #tokens: KeptTokens
  #verifier = ''

  clientInformation() {
    return this.#client
  }
  saveClientInformation(client: NonNullable<Kept>): void {
    this.#client = client
  }
  tokens() {
    return this.#tokens
  }
  saveTokens(tokens: NonNullable<KeptTokens>): void {
    this.#tokens = tokens
  }
  redirectToAuthorization(url: URL): void {
    this.asked = url
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier
  }
  codeVerifier(): string {
    return this.#verifier
  }
}
