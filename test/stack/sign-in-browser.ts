// A person in a real browser (chromium): signs in, sets up a second factor, ticks scopes and connects. What person.ts does
// without a browser, for the things only a browser shows: that the pages render, fit a phone, and work as they are looked at.
import { existsSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'
import { totp } from './person.ts'

export type SignIn = {
  readonly authorizationUrl: string
  /** Where the answer goes; nothing has to listen there. */
  readonly callback: string
  readonly username: string
  readonly temporaryPassword: string
  /** The scopes to tick; every other box is cleared. null: press Cancel. */
  readonly ticks: readonly string[] | null
  /** Where to put pictures of every page, wide, narrow and dark; null for none. */
  readonly screenshots: string | null
  /** Off, to show that the page for ticking needs none. The pages before it do. */
  readonly javaScript?: boolean
}

export type SignedIn = {
  /** The parameters that came back at the callback. */
  readonly answer: Readonly<Record<string, string>>
  /** The pages met, in order. */
  readonly seen: readonly string[]
  /** Which boxes stood ticked when the page for ticking opened, by scope. */
  readonly offered: Readonly<Record<string, boolean>>
  /** What the browser complained of: failed requests to elsewhere, script errors, refused content. */
  readonly complaints: readonly string[]
}

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const NEW_PASSWORD = 'a phrase that is 4 long words'
const LOOKS = [
  { name: 'wide', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'narrow', width: 390, height: 844, colorScheme: 'light' },
  { name: 'dark', width: 1280, height: 900, colorScheme: 'dark' },
] as const

/** The browser of this machine, or null when there is none. */
export const findBrowser = (): string | null => BROWSERS.find((path) => existsSync(path)) ?? null

export async function launchBrowser(): Promise<Browser> {
  const executablePath = findBrowser()
  if (executablePath === null) throw new Error(`no browser: none of ${BROWSERS.join(', ')}`)
  // Without its sandbox: the tests run as root, and every page it opens is ours.
  return chromium.launch({ executablePath, args: ['--no-sandbox'] })
}

const nextTurn = (): Promise<null> => new Promise((resolve) => setImmediate(resolve, null))

/** A page that did not load is no failure when the browser was on its way to the app. */
const failUnless =
  (answer: Promise<URL>) =>
  async (failure: unknown): Promise<void> => {
    if (!(await Promise.race([answer, nextTurn()]))) throw failure
  }

/** One sign-in in a fresh profile, from the authorization request to the callback. */
export async function signInBrowser(browser: Browser, wanted: SignIn): Promise<SignedIn> {
  // The edge's certificate is from the stack's own CA; that clients check it is tested elsewhere.
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    javaScriptEnabled: wanted.javaScript ?? true,
    viewport: { width: LOOKS[0].width, height: LOOKS[0].height },
  })
  try {
    const isCallback = (url: string): boolean => url.startsWith(wanted.callback)
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(`script: ${error.message}`))
    page.on('console', (line) => line.type() === 'error' && complaints.push(`console: ${line.text()}`))
    page.on('requestfailed', (request) => {
      if (!isCallback(request.url())) complaints.push(`request: ${request.url()} ${request.failure()?.errorText}`)
    })
    // The last redirect leads to the app, where nothing listens: what the browser asked for there is the answer.
    const answer = new Promise<URL>((resolve) => {
      page.on('request', (request) => {
        if (request.isNavigationRequest() && isCallback(request.url())) resolve(new URL(request.url()))
      })
    })

    const walk = new Walk(page, wanted)
    await Promise.race([page.goto(wanted.authorizationUrl).catch(failUnless(answer)), answer])
    for (let turns = 0; turns < 12; turns += 1) {
      const end = await Promise.race([answer, nextTurn()])
      if (end) {
        return { answer: Object.fromEntries(end.searchParams), seen: walk.seen, offered: walk.offered, complaints }
      }
      const before = page.url()
      await walk.answer()
      await Promise.race([
        page.waitForURL((url) => url.href !== before, { waitUntil: 'load' }).catch(failUnless(answer)),
        answer,
      ])
    }
    throw new Error(`no end after ${walk.seen.join(', ')}`)
  } finally {
    await context.close()
  }
}

/** Whichever page comes, answered as the person would. */
class Walk {
  readonly seen: string[] = []
  offered: Record<string, boolean> = {}
  private readonly page: Page
  private readonly wanted: SignIn
  private password: string
  private secret: string | undefined

  constructor(page: Page, wanted: SignIn) {
    this.page = page
    this.wanted = wanted
    this.password = wanted.temporaryPassword
  }

  async answer(): Promise<void> {
    const { page } = this
    const has = async (selector: string): Promise<boolean> => (await page.locator(selector).count()) > 0
    if (await has('form.bw-scopes')) return this.tick()
    if (await has('#password-new')) {
      await this.meet('new-password')
      this.password = NEW_PASSWORD
      await page.fill('#password-new', this.password)
      await page.fill('#password-confirm', this.password)
      return page.click('[type=submit]')
    }
    if (await has('#totpSecret')) {
      await this.meet('authenticator-app')
      this.secret = await page.inputValue('#totpSecret')
      await page.fill('#totp', this.code())
      await page.fill('#userLabel', 'phone')
      return page.click('#saveTOTPBtn')
    }
    if (await has('#kcRecoveryCodesConfirmationCheck')) {
      await this.meet('recovery-codes')
      await page.check('#kcRecoveryCodesConfirmationCheck')
      return page.click('#saveRecoveryAuthnCodesBtn')
    }
    if (await has('#otp')) {
      await this.meet('code')
      await page.fill('#otp', this.code())
      return page.click('[type=submit]')
    }
    if (await has('#password')) {
      await this.meet('sign-in')
      await page.fill('#username', this.wanted.username)
      await page.fill('#password', this.password)
      return page.click('#kc-login')
    }
    await this.meet('unknown')
    throw new Error(`a page nobody told of: ${page.url()}: ${(await page.innerText('body')).slice(0, 300)}`)
  }

  private async tick(): Promise<void> {
    const { page, wanted } = this
    await this.meet('what-an-app-may-do')
    for (const box of await page.locator('input[name=scope]').all()) {
      this.offered[(await box.getAttribute('value'))!] = await box.isChecked()
    }
    if (wanted.ticks === null) return page.click('button[name=cancel]')
    const unknown = wanted.ticks.filter((scope) => !(scope in this.offered))
    if (unknown.length > 0) throw new Error(`not offered: ${unknown.join(' ')}`)
    for (const scope of Object.keys(this.offered)) {
      await page.setChecked(`input[name=scope][value="${scope}"]`, wanted.ticks.includes(scope))
    }
    await this.shoot('what-an-app-may-do-ticked')
    return page.click('button[name=accept]')
  }

  private code(): string {
    return totp(this.secret!, Math.floor(Date.now() / 30_000))
  }

  private async meet(name: string): Promise<void> {
    this.seen.push(name)
    await this.shoot(name)
  }

  private async shoot(name: string): Promise<void> {
    const { page, wanted } = this
    if (wanted.screenshots === null) return
    for (const look of LOOKS) {
      await page.setViewportSize({ width: look.width, height: look.height })
      await page.emulateMedia({ colorScheme: look.colorScheme })
      await page.screenshot({ path: `${wanted.screenshots}/${name}-${look.name}.png`, fullPage: true })
    }
    await page.setViewportSize({ width: LOOKS[0].width, height: LOOKS[0].height })
    await page.emulateMedia({ colorScheme: null })
  }
}
