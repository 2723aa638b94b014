// A person in a real browser: signs in, sets up a second factor, ticks scopes and connects; looks at the account pages. What
// person.ts does without a browser, for the things that only a browser shows.
import { mkdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { totp } from './person.ts'

export type Authorization = {
  readonly url: string
  /** Where the answer goes; nothing has to listen there. */
  readonly callback: string
  /** The scopes to tick; every other box is cleared. null: press Cancel. */
  readonly ticks: readonly string[] | null
}

export type Authorized = {
  /** The parameters that came back at the callback. */
  readonly answer: Readonly<Record<string, string>>
  /** The pages met, in order. */
  readonly seen: readonly string[]
  /** Which boxes stood ticked when the page for ticking opened, by scope. */
  readonly offered: Readonly<Record<string, boolean>>
}

const NEW_PASSWORD = 'a phrase that is 4 long words'
const PERIOD_MS = 30_000
const LOOKS = [
  { name: 'wide', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'narrow', width: 390, height: 844, colorScheme: 'light' },
  { name: 'dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'narrow-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const

/** Every page in every look lands here, to be looked at. Unset: none is taken, and the phone's width is looked at alone. */
const PICTURES = process.env['BAILIWICK_SCREENSHOTS']
const LOOKED_AT = PICTURES ? LOOKS : LOOKS.filter(({ name }) => name === 'narrow')
let pictures = 0

type Focus = { readonly there: boolean; readonly unseen: string | null }
/** Runs in the page: whether the focus is at `wanted`, and what has it without a sign. A text field shows it on its frame. */
const FOCUS = `(wanted) => {
  const focused = document.activeElement
  if (!focused || focused === document.body) return { there: false, unseen: null }
  const isSeen = [focused, focused.parentElement].some((one) => getComputedStyle(one).outlineStyle !== 'none')
  return { there: focused.matches(wanted), unseen: isSeen ? null : focused.outerHTML.slice(0, 120) }
}`

type Profile = { readonly javaScript?: boolean; readonly keyboardOnly?: boolean }

export class BrowserPerson {
  readonly username: string
  /** What the browser complained of: script errors, refused content, requests that failed. */
  readonly complaints: string[] = []
  /** Pages on which something was wider than a phone. */
  readonly tooWide: string[] = []
  page!: Page
  #context: BrowserContext | undefined
  #keyboardOnly = false
  #password: string
  #secret: string | undefined
  #lastPeriod = 0

  constructor(username: string, temporaryPassword: string) {
    this.username = username
    this.#password = temporaryPassword
  }

  /** A fresh profile; with `keepSession` one that is signed in as the last one was. */
  async open(browser: Browser, profile: Profile = {}, keepSession = false): Promise<void> {
    const storageState = keepSession ? await this.#context!.storageState() : undefined
    await this.close()
    this.#keyboardOnly = profile.keyboardOnly ?? false
    this.#context = await browser.newContext({
      javaScriptEnabled: profile.javaScript ?? true,
      viewport: { width: LOOKS[0].width, height: LOOKS[0].height },
      ...(storageState ? { storageState } : {}),
    })
    this.page = await this.#context.newPage()
    this.page.on('pageerror', (error) => this.complaints.push(`script: ${error.message}`))
    this.page.on('console', (line) => line.type() === 'error' && this.complaints.push(`console: ${line.text()}`))
  }

  async close(): Promise<void> {
    await this.#context?.close()
    this.#context = undefined
  }

  /** One authorization request, up to the address of the app. */
  async authorize({ url, callback, ticks }: Authorization): Promise<Authorized> {
    const { page } = this
    const seen: string[] = []
    let offered: Readonly<Record<string, boolean>> = {}
    // The last redirect leads to the app, where nothing listens: what the browser asked for there is the answer.
    const answer: { url?: URL } = {}
    const arrived = new Promise<void>((resolve) => {
      page.on('request', (request) => {
        if (!request.isNavigationRequest() || !request.url().startsWith(callback)) return
        answer.url = new URL(request.url())
        resolve()
      })
    })
    /** A page that did not load is no failure when the browser was on its way to the app. */
    const loaded = (loading: Promise<unknown>): Promise<unknown> =>
      Promise.race([
        arrived,
        loading.catch(async (error: unknown) => {
          await pause(50)
          if (!answer.url) throw error
        }),
      ])
    await loaded(page.goto(url))
    for (let turns = 0; turns < 12 && !answer.url; turns += 1) {
      const before = page.url()
      const kind = await this.#kind()
      seen.push(kind)
      await this.look(kind)
      if (kind === 'tick') offered = await this.#tick(ticks)
      else await this.#fillIn(kind)
      await loaded(page.waitForURL((at) => at.href !== before, { waitUntil: 'load' }))
    }
    if (!answer.url) throw new Error(`no end after ${seen.join(', ')}`)
    return { answer: Object.fromEntries(answer.url.searchParams), seen, offered }
  }

  /**
   * Takes a picture in every look, and notes what does not fit a phone. `reopen` brings a page anew that settles when it is opened
   * how wide it is.
   */
  async look(name: string, reopen?: () => Promise<unknown>): Promise<void> {
    const { page } = this
    pictures += 1
    if (PICTURES) mkdirSync(PICTURES, { recursive: true })
    for (const look of LOOKED_AT) {
      await page.setViewportSize({ width: look.width, height: look.height })
      await page.emulateMedia({ colorScheme: look.colorScheme })
      await reopen?.()
      const width = await page.evaluate<number>('document.documentElement.scrollWidth')
      if (width > look.width) this.tooWide.push(`${name} ${look.name}: ${width}`)
      const path = `${PICTURES}/${String(pictures).padStart(2, '0')}-${name.replaceAll(' ', '-')}-${look.name}.png`
      if (PICTURES) await page.screenshot({ path, fullPage: true })
    }
    await page.setViewportSize({ width: LOOKS[0].width, height: LOOKS[0].height })
    await page.emulateMedia({ colorScheme: null })
    await reopen?.()
  }

  /** By the field that only this page has. */
  async #kind(): Promise<string> {
    const marks = {
      tick: 'form.bw-scopes',
      'new password': '#password-new',
      'set up app': '#totpSecret',
      'recovery codes': '#kcRecoveryCodesConfirmationCheck',
      code: '#otp',
      password: '#password',
    }
    for (const [kind, mark] of Object.entries(marks)) if ((await this.page.locator(mark).count()) > 0) return kind
    const text = (await this.page.innerText('body')).slice(0, 300)
    throw new Error(`a page nobody told of: ${this.page.url()}: ${text}`)
  }

  async #fillIn(kind: string): Promise<void> {
    switch (kind) {
      case 'new password':
        this.#password = NEW_PASSWORD
        await this.#type('#password-new', this.#password)
        await this.#type('#password-confirm', this.#password)
        return this.#press('[type=submit]')
      case 'set up app':
        this.#secret = await this.page.inputValue('#totpSecret')
        await this.#type('#totp', await this.#code())
        await this.#type('#userLabel', 'phone')
        return this.#press('#saveTOTPBtn')
      case 'recovery codes':
        await this.#set('#kcRecoveryCodesConfirmationCheck', true)
        return this.#press('#saveRecoveryAuthnCodesBtn')
      case 'code':
        await this.#type('#otp', await this.#code())
        return this.#press('[type=submit]')
      default:
        await this.#type('#username', this.username)
        await this.#type('#password', this.#password)
        return this.#press('#kc-login')
    }
  }

  async #tick(ticks: readonly string[] | null): Promise<Record<string, boolean>> {
    const offered: Record<string, boolean> = {}
    for (const box of await this.page.locator('input[name=scope]').all()) {
      offered[(await box.getAttribute('value'))!] = await box.isChecked()
    }
    if (ticks === null) {
      await this.#press('button[name=cancel]')
      return offered
    }
    const unknown = ticks.filter((scope) => !(scope in offered))
    if (unknown.length > 0) throw new Error(`not offered: ${unknown.join(' ')}`)
    for (const scope of Object.keys(offered)) {
      await this.#set(`input[name=scope][value="${scope}"]`, ticks.includes(scope))
    }
    await this.look('ticked')
    await this.#press('button[name=accept]')
    return offered
  }

  /** A code is good once: the second one of a period waits for the next. */
  async #code(): Promise<string> {
    while (Math.floor(Date.now() / PERIOD_MS) <= this.#lastPeriod) await pause(500)
    this.#lastPeriod = Math.floor(Date.now() / PERIOD_MS)
    return totp(this.#secret!, this.#lastPeriod)
  }

  async #type(field: string, text: string): Promise<void> {
    if (!this.#keyboardOnly) return this.page.fill(field, text)
    await this.#tabTo(field)
    await this.page.keyboard.type(text)
  }
  async #press(button: string): Promise<void> {
    if (!this.#keyboardOnly) return this.page.click(button)
    await this.#tabTo(button)
    await this.page.keyboard.press('Enter')
  }
  async #set(box: string, checked: boolean): Promise<void> {
    if (!this.#keyboardOnly) return this.page.setChecked(box, checked)
    await this.#tabTo(box)
    if ((await this.page.isChecked(box)) !== checked) await this.page.keyboard.press('Space')
  }

  /** By the Tab key alone, once through the page. Where the focus is must be seen at every stop. */
  async #tabTo(selector: string): Promise<void> {
    for (let stops = 0; stops < 80; stops += 1) {
      const at = await this.page.evaluate<Focus>(`(${FOCUS})(${JSON.stringify(selector)})`)
      if (at.unseen) this.complaints.push(`no sign of the focus: ${at.unseen}`)
      if (at.there) return
      await this.page.keyboard.press('Tab')
    }
    throw new Error(`the Tab key does not reach ${selector}`)
  }
}
