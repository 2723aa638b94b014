// An agent that is named by the address of its document is disconnected at a path of the account page that holds this address. What the
// provider lets become such a client, the edge must pass there.
import { readFileSync } from 'node:fs'

const ROOT = new URL('../../..', import.meta.url).pathname
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8')

const JAVA = 'keycloak/provider/src/io/bailiwick/keycloak/agents/DocumentAddress.java'
const taken = new RegExp(`^(?:${String(JSON.parse(/Pattern\.compile\(("[^\n]+")\)/.exec(read(JAVA))![1]!))})$`)
const passed = new RegExp(/"~(\^\S+account\/applications\/https\S+)"/.exec(read('nginx/nginx.conf.template'))![1]!)
const isPassed = (id: string): boolean =>
  passed.test(`/realms/bailiwick/account/applications/${encodeURIComponent(id)}/consent`)

test('every character, at every place of an address: taken only where the edge passes it', () => {
  const characters = Array.from({ length: 0x17f }, (_, code) => String.fromCharCode(code))
  const addresses = [...characters, '..', '/../', '//', '%2e', '%2F', '?a=b', '#a'].flatMap((part) => [
    `https://agent.example.com/${part}`,
    `https://agent.example.com/a${part}b.json`,
    `https://agent.example.com/a.json${part}`,
    `https://agent.example.com${part}/a.json`,
    `https://agent.ex${part}ample.com:8443/a.json`,
  ])
  expect(addresses.filter((id) => taken.test(id) && !isPassed(id))).toEqual([])
})

test.each([
  'https://claude.ai/oauth/claude-code-client-metadata',
  'https://agent.example.com/client.json',
  'https://agent.example.com:8443/.well-known/oauth-client_1~a.json',
  'https://xn--bcher-kva.example/clients/1/',
])('an ordinary address is taken and passed: %s', (id) => {
  expect([taken.test(id), isPassed(id)]).toEqual([true, true])
})

test.each([
  'http://agent.example.com/client.json',
  'https://agent.example.com',
  'https://agent.example.com@elsewhere.example/client.json',
  'https://agent.example.com/a+b.json',
  'https://agent.example.com/a/../b.json',
  'https://agent.example.com/client.json?of=a',
])('not taken: %s', (id) => {
  expect(taken.test(id)).toBe(false)
})
