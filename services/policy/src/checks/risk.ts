// Whether a catalog may be served at all: policy does not believe what tool files declare about themselves.
import type { CatalogTool, LoadedCatalog, Risk } from '@bailiwick/contracts/catalog'
import { SCOPES, scopeDomain } from '@bailiwick/contracts/scopes'
import { CONFIRM, CROSS_DOMAIN_READS, RISK_TABLE, UNDO } from '../rules.ts'

const ORDER: readonly Risk[] = ['read', 'write', 'destructive']
const TABLE = RISK_TABLE.map(([pattern, least]) => [new RegExp(pattern), least] as const)

/** The least risk that a tool of this name has, whatever it declares. Unknown names are destructive. */
export const leastRisk = (name: string): Risk => TABLE.find(([pattern]) => pattern.test(name))?.[1] ?? 'destructive'

/** Every reason why this catalog must not be served; none is the good answer. */
export const findCatalogFaults = (catalog: LoadedCatalog, leastRiskOf = leastRisk): string[] =>
  catalog.list.flatMap((tool) => faultsOf(tool, catalog, leastRiskOf).map((fault) => `${tool.name}: ${fault}`))

function faultsOf(tool: CatalogTool, catalog: LoadedCatalog, leastRiskOf: typeof leastRisk): string[] {
  const faults: string[] = []
  const byName = [...CROSS_DOMAIN_READS, UNDO, CONFIRM].includes(tool.name)
  if (ORDER.indexOf(tool.risk) < ORDER.indexOf(leastRiskOf(tool.name)))
    faults.push(`declares risk ${tool.risk}, policy's table says at least ${leastRiskOf(tool.name)}`)
  if (tool.scopes.some((scope) => !SCOPES.includes(scope))) faults.push('names a scope that does not exist')
  if (tool.scopes.length === 0 && !byName) faults.push('needs no scope, and policy knows no rule of its own for it')
  // A scope's right must carry the risk (mechanisms.md §4), or a token for reading could change something.
  if (tool.scopes.length > 0 && !tool.scopes.some((scope) => carries(scope, tool.risk)))
    faults.push(`is ${tool.risk}, but none of its scopes is for that`)
  const ownEffect = tool.name !== UNDO && tool.name !== CONFIRM
  if (ownEffect && tool.risk !== 'read' && tool.effect === 'read')
    faults.push('changes something, but declares a reading effect')
  if (tool.risk === 'read' && tool.effect !== 'read') faults.push('reads, but declares a changing effect')
  if (tool.risk === 'destructive' && tool.name !== CONFIRM) {
    const preview = tool.confirms ? catalog.tools.get(tool.confirms.preview_tool) : undefined
    if (preview?.previews !== tool.name) faults.push('is destructive, but no preview tool leads to it')
  }
  if (tool.previews !== null) {
    const target = catalog.tools.get(tool.previews)
    if (tool.risk !== 'read') faults.push('is a preview, but does not only read')
    if (target?.risk !== 'destructive' || target.domain !== tool.domain)
      faults.push('previews something that is not a destructive tool of its own domain')
  }
  return faults
}

function carries(scope: string, risk: Risk): boolean {
  const right = scope.slice(scopeDomain(scope).length + 1)
  if (risk === 'read') return true
  return risk === 'write' ? right === 'write' || right === 'delete' : right === 'delete'
}
