import { appPrincipal, Principal, readAppPrincipal, readTokenPrincipal } from '@bailiwick/kernel/ids'

const ID = '0b8a4f4e-3c43-4c8a-9f2c-5a4c3f1b2d10'
const CLIENT = 'https://agent.example.test:8443/client'

test('an app is named by its person and its client, whose id may be an address', () => {
  const app = Principal.parse(appPrincipal(ID, CLIENT))
  expect(readAppPrincipal(app)).toEqual({ sub: ID, client: CLIENT })
  for (const text of [
    '',
    ID,
    `oauth:${ID}:`,
    `pat:${ID}`,
    `oauth:x:${CLIENT}`,
    `oauth:${ID}:a b`,
    ` ${app}`,
    `${app}\n`,
  ])
    expect([text, readAppPrincipal(text)]).toEqual([text, null])
})

test('a personal token is named by its id', () => {
  expect(readTokenPrincipal(Principal.parse(`pat:${ID}`))).toBe(ID)
  for (const text of ['', ID, 'pat:', 'pat:x', `pat:${ID} `, `oauth:${ID}:agent`, 'admin:operator'])
    expect([text, readTokenPrincipal(text)]).toEqual([text, null])
})

test('what no reader understands is no principal, but for an operator', () => {
  expect(Principal.safeParse('admin:operator').success).toBe(true)
  for (const text of [
    '',
    ID,
    'admin:',
    `oauth:${ID}:`,
    `oauth:${ID}`,
    appPrincipal('a:b', 'c'),
    appPrincipal(ID, 'a b'),
    'pat:x',
  ])
    expect([text, Principal.safeParse(text).success]).toEqual([text, false])
})
