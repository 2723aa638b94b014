import { CODES, isCode } from '@bailiwick/contracts/codes'
import { deny, toProblem } from '@bailiwick/contracts/problem'
import { effectiveScopes, PRESETS, SCOPES } from '@bailiwick/contracts/scopes'

describe('a problem', () => {
  test('never carries the reason that is for the log', () => {
    expect(JSON.stringify(toProblem(deny('NOT_FOUND', { why: 'belongs to account 7' }), 'r1'))).not.toContain(
      'account 7',
    )
  })
  test('cannot have its own members replaced by extra ones', () => {
    expect(toProblem(deny('NOT_FOUND', { extra: { status: 200, code: 'OK' } }), 'r1')).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
    })
  })
  test.each(Object.keys(CODES))('%s says what happened and what to do', (code) => {
    expect(isCode(code)).toBe(true)
    const problem = toProblem({ code: code as keyof typeof CODES }, 'r1')
    expect(problem.detail.length).toBeGreaterThan(5)
    expect(problem.next.length).toBeGreaterThan(5)
  })
})

describe('scopes', () => {
  test('are exactly 33', () => {
    expect(new Set(SCOPES).size).toBe(33)
  })
  test('write implies read of its own domain; delete implies nothing', () => {
    expect(effectiveScopes(['dns:write'])).toEqual(['dns:read', 'dns:write'])
    expect(effectiveScopes(['dns:delete'])).toEqual(['dns:delete'])
    expect(effectiveScopes(['dns:*', 'dns', 'DNS:write', 'x:write'])).toEqual([])
  })
  test('what is not offered on purpose is in no preset', () => {
    const all = Object.values(PRESETS).flat()
    for (const scope of ['ssl:delete', 'backups:delete', 'commerce:delete', 'profile:write'])
      expect(all).not.toContain(scope)
  })
})
