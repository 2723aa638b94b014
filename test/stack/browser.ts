// A real browser (chromium) that trusts the stack's own certificate authority as a person's would: through its list of
// authorities. Nothing is switched off, so a certificate that browsers refuse fails the tests.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { chromium, type Browser } from 'playwright-core'
import { runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { installMissing } from '../../scripts/embedded/packages.ts'

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const CERTUTIL = '/usr/bin/certutil'
const findProgram = (): string | undefined => PROGRAMS.find((path) => existsSync(path))

const NEEDS = [
  { what: 'chromium', isThere: () => findProgram() !== undefined, packages: ['chromium'], units: [] },
  { what: 'certutil', isThere: () => existsSync(CERTUTIL), packages: ['libnss3-tools'], units: [] },
]

/** Installs what is missing; otherwise says why there can be no browser here. */
export async function whyNoBrowser(): Promise<string | null> {
  try {
    await installMissing((line) => console.log(line), NEEDS)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export type OpenBrowser = { readonly browser: Browser; close(): Promise<void> }

export async function openBrowser(caFile: string): Promise<OpenBrowser> {
  // Chromium reads its authorities from its home folder: one of its own.
  const home = mkdtempSync(`${tmpdir()}/bailiwick-browser-`)
  const authorities = `${home}/.pki/nssdb`
  mkdirSync(authorities, { recursive: true })
  const certutil = (...args: string[]): Promise<string> =>
    runToEnd(CERTUTIL, ['-d', `sql:${authorities}`, ...args], { PATH: process.env['PATH'] })
  await certutil('-N', '--empty-password')
  await certutil('-A', '-n', 'bailiwick', '-t', 'C,,', '-i', caFile)
  const browser = await chromium.launch({
    executablePath: findProgram()!,
    // Without its sandbox: the tests run as root, and every page it opens is ours.
    args: ['--no-sandbox'],
    env: { PATH: process.env['PATH'], HOME: home },
  })
  return {
    browser,
    async close() {
      await browser.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
