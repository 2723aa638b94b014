// A person at the sign-in pages, without a browser: reads the forms that Keycloak sends and answers them, keeps cookies, computes
// the codes of an authenticator app. What it does not know it reports with the page's text.
import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { formBody, send, type HttpReply, type Source } from './http.ts'

export type Answers = {
  /** Which of the offered scopes to tick; default: what the page has ticked. */
  tick?: (offered: readonly Tick[]) => readonly string[]
  /** `false`: cancel instead of connecting. */
  connect?: boolean
  /** Sees each form before it is sent. */
  beforePost?: (kind: string, url: string, fields: readonly [string, string][]) => Promise<void>
}
export type Tick = { name: string; ticked: boolean }
export type Arrival = {
  /** The pages that were met, in order. */
  pages: string[]
  /** The address the browser was sent to in the end, not fetched. */
  url: URL
  params: Readonly<Record<string, string>>
}

const MOST_STEPS = 25
const PERIOD_MS = 30_000

export class Person {
  readonly username: string
  password: string
  /** The authenticator app's secret as Keycloak keeps it, once it is set up. */
  secret: string | null = null
  recoveryCodes: string[] = []
  /** What the last tick page offered. */
  offered: Tick[] = []
  /** The text of the last page. */
  page = ''
  readonly #cookies = new Map<string, string>()
  readonly #ca: string | Buffer | undefined
  readonly #from: Source | undefined
  #lastPeriod = 0

  /** `from` as a function gives each request an address of its own: for tests that are not about the edge's limits. */
  constructor(username: string, password: string, world: { ca?: string | Buffer; from?: Source } = {}) {
    this.username = username
    this.password = password
    this.#ca = world.ca
    this.#from = world.from
  }

  /** Follows `url` through whatever pages come until the browser would be sent to an address that starts with `end`. */
  async visit(url: string, end: string, answers: Answers = {}): Promise<Arrival> {
    const pages: string[] = []
    let at = await this.#go(url, end)
    for (let step = 0; step < MOST_STEPS; step += 1) {
      if (at.arrived) return { pages, url: at.arrived, params: paramsOf(at.arrived) }
      const html = at.reply.text
      this.page = textOf(html)
      const kind = kindOf(html)
      pages.push(kind)
      const form = formOf(html, kind)
      if (kind === 'other' || !form)
        throw new Error(
          `unexpected page after [${pages.join(' ')}] at ${at.url}: ${at.reply.status} ${this.page.slice(0, 400)}`,
        )
      if (/kc-feedback-text|alert-error|pf-m-danger/.test(html) && pages.at(-2) === kind)
        throw new Error(`refused at ${kind}: ${this.page.slice(0, 400)}`)
      const fields = await this.#answer(kind, form.html, answers)
      const target = new URL(form.action, at.url).href
      await answers.beforePost?.(kind, target, fields)
      at = await this.#go(target, end, formBody(fields))
    }
    throw new Error(`no end after [${pages.join(' ')}]`)
  }

  /** Where `url` leads with this person's cookies before any form is filled in: to the parameters at `end`, or to a page. */
  async look(url: string, end: string): Promise<{ status: number; params: Readonly<Record<string, string>> | null }> {
    const at = await this.#go(url, end)
    return at.arrived ? { status: 302, params: paramsOf(at.arrived) } : { status: at.reply.status, params: null }
  }

  /** Forgets the session, as a closed browser would; the authenticator app stays. */
  closeBrowser(): void {
    this.#cookies.clear()
  }

  async #answer(kind: string, html: string, answers: Answers): Promise<[string, string][]> {
    const hidden = hiddenOf(html)
    switch (kind) {
      case 'password':
        return [...hidden, ['username', this.username], ['password', this.password]]
      case 'new password':
        this.password = `${this.password}-changed`
        return [...hidden, ['password-new', this.password], ['password-confirm', this.password]]
      case 'set up app':
        this.secret = hidden.find(([name]) => name === 'totpSecret')?.[1] ?? null
        return [...hidden, ['totp', await this.#code()], ['userLabel', 'test']]
      case 'code':
        return [...hidden, ...selectedOf(html), ['otp', await this.#code()]]
      case 'recovery codes': {
        const codes = hidden.find(([name]) => name === 'generatedRecoveryAuthnCodes')?.[1] ?? ''
        this.recoveryCodes = codes.split(',')
        return [...hidden, ['kcRecoveryCodesConfirmationCheck', 'on'], ['userLabel', 'paper']]
      }
      case 'tick': {
        this.offered = ticksOf(html)
        const names =
          answers.tick?.(this.offered) ?? this.offered.filter(({ ticked }) => ticked).map(({ name }) => name)
        const buttons = buttonsOf(html)
        // Who has nothing to give can only cancel.
        const button = buttons.find(({ name }) => (name === 'cancel') === (answers.connect === false)) ?? buttons[0]
        if (!button) throw new Error('the tick page lacks a button')
        return [...hidden, ...names.map((name): [string, string] => ['scope', name]), [button.name, button.value]]
      }
      default:
        return [...hidden, [answers.connect === false ? 'cancel' : 'accept', 'yes']]
    }
  }

  /** A code is good once: the second one of a period waits for the next. */
  async #code(): Promise<string> {
    if (this.secret === null) throw new Error('no authenticator app is set up')
    while (Math.floor(Date.now() / PERIOD_MS) <= this.#lastPeriod) await pause(500)
    this.#lastPeriod = Math.floor(Date.now() / PERIOD_MS)
    return totp(this.secret, this.#lastPeriod)
  }

  async #go(
    start: string,
    end: string,
    body?: string,
  ): Promise<{ reply: HttpReply; url: string; arrived?: never } | { arrived: URL; reply?: never; url: string }> {
    let url = start
    let sent = body
    for (let hop = 0; hop < 15; hop += 1) {
      const reply = await send(url, {
        method: sent === undefined ? 'GET' : 'POST',
        headers: {
          accept: 'text/html',
          ...(this.#cookies.size > 0 ? { cookie: [...this.#cookies].map((pair) => pair.join('=')).join('; ') } : {}),
          ...(sent === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(sent === undefined ? {} : { body: sent }),
        ...(this.#ca ? { ca: this.#ca } : {}),
        ...(this.#from ? { from: this.#from } : {}),
      })
      this.#keepCookies(reply)
      const { location } = reply.headers
      if (!location || reply.status < 300 || reply.status > 399) return { reply, url }
      url = new URL(location, url).href
      if (url.startsWith(end)) return { arrived: new URL(url), url }
      sent = undefined
    }
    throw new Error(`too many redirects, last to ${url}`)
  }

  #keepCookies(reply: HttpReply): void {
    for (const line of reply.headers['set-cookie'] ?? []) {
      const [pair] = line.split(';')
      const at = pair!.indexOf('=')
      const name = pair!.slice(0, at)
      if (/max-age=0/i.test(line) || pair!.length === at + 1) this.#cookies.delete(name)
      else this.#cookies.set(name, pair!.slice(at + 1))
    }
  }
}

/** Of the query and of the fragment, in which a server would answer `response_type=token`. */
const paramsOf = ({ searchParams, hash }: URL): Readonly<Record<string, string>> =>
  Object.fromEntries([...searchParams, ...new URLSearchParams(hash.slice(1))])

/** RFC 6238 with SHA-1, six digits. Keycloak's secret is text, and its bytes are the key. */
export function totp(secret: string, period: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(period))
  const digest = createHmac('sha1', secret).update(counter).digest()
  const offset = digest.at(-1)! & 15
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** By the field that only this page has. */
const PAGES: Readonly<Record<string, RegExp>> = {
  'new password': /name="password-new"/,
  'recovery codes': /name="generatedRecoveryAuthnCodes"/,
  'set up app': /name="totpSecret"/,
  code: /name="otp"/,
  password: /name="password"/,
  tick: /class="bw-scopes"|name="scope"/,
  consent: /name="accept"/,
}
const kindOf = (html: string): string => Object.entries(PAGES).find(([, mark]) => mark.test(html))?.[0] ?? 'other'

const decode = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&#x27;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
const attribute = (tag: string, name: string): string | null => {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]
  return value === undefined ? null : decode(value)
}
const tags = (html: string, name: string): string[] => html.match(new RegExp(`<${name}\\b[^>]*>`, 'g')) ?? []

/** A page may hold more forms (a passkey, "another way"): the one with the page's own field. */
function formOf(html: string, kind: string): { action: string; html: string } | null {
  const forms = html.match(/<form\b[\s\S]*?<\/form>/g) ?? []
  const own = forms.find((form) => PAGES[kind]?.test(form))
  const action = own ? attribute(tags(own, 'form')[0]!, 'action') : null
  return own && action ? { action, html: own } : null
}
const hiddenOf = (html: string): [string, string][] =>
  tags(html, 'input')
    .filter((tag) => attribute(tag, 'type') === 'hidden' && attribute(tag, 'name'))
    .filter((tag) => !['tryAnotherWay', 'authenticationExecution'].includes(attribute(tag, 'name')!))
    .map((tag) => [attribute(tag, 'name')!, attribute(tag, 'value') ?? ''])
const selectedOf = (html: string): [string, string][] => {
  const chosen = tags(html, 'input').find((tag) => attribute(tag, 'name') === 'selectedCredentialId')
  return chosen && attribute(chosen, 'type') !== 'hidden'
    ? [['selectedCredentialId', attribute(chosen, 'value') ?? '']]
    : []
}
const ticksOf = (html: string): Tick[] =>
  tags(html, 'input')
    .filter((tag) => attribute(tag, 'type') === 'checkbox' && attribute(tag, 'name') === 'scope')
    .map((tag) => ({ name: attribute(tag, 'value') ?? '', ticked: /\schecked\b/.test(tag) }))
const buttonsOf = (html: string): { name: string; value: string }[] =>
  tags(html, 'button')
    .filter((tag) => attribute(tag, 'type') === 'submit' && attribute(tag, 'name'))
    .map((tag) => ({ name: attribute(tag, 'name')!, value: attribute(tag, 'value') ?? '' }))
const textOf = (html: string): string =>
  html
    .replaceAll(/<(script|style)\b[\s\S]*?<\/\1>/g, ' ')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
