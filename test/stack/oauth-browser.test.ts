// The whole way in a real browser, through the edge: an agent sends a person to sign in, the person decides, the agent acts, the
// person takes it back. BAILIWICK_SCREENSHOTS names a folder for pictures of every page.
import { openBrowser, whyNoBrowser, type OpenBrowser } from './browser.ts'
import { OAuthAgent, type Tokens } from './oauth-agent.ts'
import { CALLBACK, newProof } from './oauth.ts'
import type { Invited } from './people.ts'
import { freshAccount, sharedStack } from './shared-stack.ts'
import { BrowserPerson, type Authorized } from './sign-in-browser.ts'

const stack = sharedStack()
const ADDRESS = '127.0.0.27'
const ASKED = 'profile:read databases:read databases:write databases:delete'
const AGENT_NAME = 'Browser test agent'
const WITHIN_MS = 1000

const reason = await whyNoBrowser()
// Without a browser nothing of this is shown, and none of it may count as passed.
if (reason !== null) console.warn(`skipped, there is no browser: ${reason}`)
const inBrowser = reason === null ? describe : describe.skip

inBrowser(`a person in chromium${reason === null ? '' : ` (not tried: ${reason})`}`, () => {
  let opened: OpenBrowser
  let person: BrowserPerson
  let agent: OAuthAgent
  let tokens: Tokens

  beforeAll(async () => {
    const account = await freshAccount(stack, 'oauth-browser')
    const email = `browser-${Date.now().toString(36)}@example.test`
    const invited = await stack.admin<Invited>('members', 'invite', '--account', account.id, '--email', email)
    person = new BrowserPerson(invited.username, invited.temporary_password)
    opened = await openBrowser(stack.caFile)
    await person.open(opened.browser)
    agent = await newAgent(AGENT_NAME)
  })
  afterAll(async () => {
    await person?.close()
    await opened?.close()
  })

  async function newAgent(name = 'Another agent'): Promise<OAuthAgent> {
    const made = new OAuthAgent(stack, ADDRESS)
    const { status, body } = await made.register({ client_name: name })
    if (status !== 201) throw new Error(JSON.stringify(body))
    return made
  }

  async function connect(of: OAuthAgent, ticks: readonly string[]): Promise<Authorized & { tokens: Tokens }> {
    const { verifier, challenge } = newProof()
    const done = await person.authorize({ url: of.authorizationUrl(ASKED, challenge), callback: CALLBACK, ticks })
    expect(done.answer).toMatchObject({ iss: of.metadata!.issuer, code: expect.any(String) })
    const { status, body } = await of.exchange(done.answer['code']!, verifier)
    expect(status).toBe(200)
    return { ...done, tokens: body }
  }

  test('from the invitation to a connected agent: a new password, a second factor, recovery codes, consent', async () => {
    const done = await connect(agent, ['profile:read', 'databases:read', 'databases:write'])
    expect(done.seen).toEqual(['password', 'new password', 'set up app', 'recovery codes', 'tick'])
    // Looking stands ticked, changing and deleting do not.
    expect(done.offered).toEqual({
      'profile:read': true,
      'databases:read': true,
      'databases:write': false,
      'databases:delete': false,
    })
    tokens = done.tokens
  })

  test('the agent can do exactly what was ticked', async () => {
    const { body } = await agent.call(tokens.access_token, 'whoami')
    expect(body['scopes']).toEqual(['databases:read', 'databases:write', 'profile:read'])
    const made = await agent.call(tokens.access_token, 'create_database', { name: 'from-a-browser' })
    expect(made.status).toBe(200)
    const { database_id } = made.body
    const form = { database_id, preview_token: `pvt_${'0'.repeat(64)}`, confirm: true }
    const refused = await agent.call(tokens.access_token, 'delete_database', form)
    expect([refused.status, refused.body['code']]).toEqual([403, 'INSUFFICIENT_SCOPE'])
    const { operation_id } = made.body['undo'] as { operation_id: string }
    expect((await agent.call(tokens.access_token, 'undo', { operation_id })).status).toBe(200)
  })

  test('the page for ticking needs no JavaScript', async () => {
    await person.open(opened.browser, { javaScript: false }, true)
    const done = await connect(await newAgent(), ['profile:read'])
    expect([done.seen, done.tokens.scope.split(' ')]).toEqual([['tick'], expect.arrayContaining(['profile:read'])])
    expect(done.tokens.scope).not.toContain('databases')
  })

  test('a second sign-in and the ticks work with the keyboard alone, and the focus is seen at every stop', async () => {
    await person.open(opened.browser, { keyboardOnly: true })
    const done = await connect(await newAgent(), ['profile:read', 'databases:delete'])
    expect(done.seen).toEqual(['password', 'code', 'tick'])
    expect(done.tokens.scope.split(' ').filter((scope) => scope.includes(':'))).toEqual(
      expect.arrayContaining(['profile:read', 'databases:delete']),
    )
    expect(done.tokens.scope).not.toMatch(/databases:(read|write)/)
  })

  test('the account page lists the app; what is disconnected there is refused within a second', async () => {
    await person.open(opened.browser, {}, true)
    const { page } = person
    const account = `${agent.metadata!.issuer}/account/`
    const show = (path: string) => async (): Promise<void> => {
      await page.goto(account + path)
      await page.getByTestId('page-heading').waitFor()
      await page.waitForLoadState('networkidle')
    }
    await person.look('account', show(''))
    await person.look('account-signing-in', show('account-security/signing-in'))
    await person.look('account-devices', show('account-security/device-activity'))
    const app = page.getByTestId('applications-list-item').filter({ hasText: AGENT_NAME })
    const showApp = async (): Promise<void> => {
      await show('applications')()
      await app.getByRole('button', { name: 'Details' }).click()
      await app.getByText('Create databases').waitFor()
    }
    await person.look('account-apps', showApp)
    await person.look('account-disconnect', async () => {
      await showApp()
      await app.getByRole('button', { name: 'Disconnect' }).click()
      await page.getByRole('dialog').waitFor()
    })
    // Asking is not doing.
    expect((await agent.call(tokens.access_token, 'whoami')).status).toBe(200)
    await page.getByRole('dialog').getByRole('button', { name: 'Confirm' }).click()
    await page.getByText('Disconnected').first().waitFor()
    const removedAt = performance.now()
    while ((await agent.call(tokens.access_token, 'whoami')).status === 200) {
      expect(performance.now() - removedAt).toBeLessThan(WITHIN_MS)
    }
    expect((await agent.call(tokens.access_token, 'whoami')).status).toBe(401)
    expect((await agent.refresh(tokens.refresh_token!)).body).toMatchObject({ error: 'invalid_grant' })
    expect(await app.count()).toBe(0)
  })

  test('the browser had nothing to complain of, and every page fits a phone', () => {
    expect([person.complaints, person.tooWide]).toEqual([[], []])
  })
})
