// A small catalog with every kind of tool that policy tells apart.
import { indexCatalog, type CatalogTool, type LoadedCatalog } from '@bailiwick/contracts/catalog'

type Short = Pick<CatalogTool, 'name' | 'domain' | 'scopes' | 'risk'> & Partial<CatalogTool>

export const catalogTool = (tool: Short): CatalogTool => ({
  title: tool.name,
  summary: tool.name,
  effect: tool.risk === 'read' ? 'read' : tool.risk === 'write' ? 'exact' : 'recoverable',
  limit_class: 'standard',
  resources: [],
  previews: null,
  confirms: null,
  obligations: [],
  record: {},
  secret: false,
  input_schema: {},
  output_schema: {},
  ...tool,
})

const database = [{ field: 'database_id', kind: 'database' }]
const domain = [{ field: 'domain_id', kind: 'domain' }]

export const TOOLS: readonly CatalogTool[] = [
  catalogTool({ name: 'whoami', domain: 'profile', scopes: ['profile:read'], risk: 'read' }),
  catalogTool({ name: 'list_databases', domain: 'databases', scopes: ['databases:read'], risk: 'read' }),
  catalogTool({
    name: 'get_database',
    domain: 'databases',
    scopes: ['databases:read'],
    risk: 'read',
    resources: database,
  }),
  catalogTool({
    name: 'create_database',
    domain: 'databases',
    scopes: ['databases:write'],
    risk: 'write',
    record: { name: 'keep' },
  }),
  catalogTool({
    name: 'set_database_limits',
    domain: 'databases',
    scopes: ['databases:write'],
    risk: 'write',
    resources: database,
  }),
  catalogTool({
    name: 'preview_delete_database',
    domain: 'databases',
    scopes: ['databases:read'],
    risk: 'read',
    resources: database,
    previews: 'delete_database',
  }),
  catalogTool({
    name: 'delete_database',
    domain: 'databases',
    scopes: ['databases:delete'],
    risk: 'destructive',
    resources: database,
    confirms: { preview_tool: 'preview_delete_database', field: 'database_id' },
  }),
  catalogTool({
    name: 'set_dns_records',
    domain: 'dns',
    scopes: ['dns:write'],
    risk: 'write',
    resources: domain,
    obligations: ['critical_dns'],
  }),
  catalogTool({ name: 'request_ssl', domain: 'ssl', scopes: ['ssl:write'], risk: 'write', limit_class: 'install' }),
  catalogTool({
    name: 'install_wordpress',
    domain: 'websites',
    scopes: ['websites:write', 'databases:write'],
    risk: 'write',
    limit_class: 'install',
  }),
  catalogTool({ name: 'list_trash', domain: 'all', scopes: [], risk: 'read' }),
  catalogTool({ name: 'undo', domain: 'all', scopes: [], risk: 'write' }),
  catalogTool({ name: 'confirm_action', domain: 'all', scopes: [], risk: 'write' }),
]

export const makeCatalog = (tools: readonly CatalogTool[] = TOOLS): LoadedCatalog =>
  indexCatalog({ version: 1, tools: [...tools] })

export const toolNamed = (name: string): CatalogTool => TOOLS.find((tool) => tool.name === name)!
