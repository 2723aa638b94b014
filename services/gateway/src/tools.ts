// How the catalog's tools look to an MCP client. Made once at start; a request only picks from it.
import type { Tool } from '@modelcontextprotocol/server'
import type { CatalogTool, LoadedCatalog } from '@bailiwick/contracts/catalog'

/** Tools in the catalog's order, as `tools/list` shows them. */
export const describeTools = (catalog: LoadedCatalog): ReadonlyMap<string, Tool> =>
  new Map(catalog.list.map((tool) => [tool.name, describeTool(tool)]))

/** Hints are computed, never declared: a tool file cannot call a delete harmless. */
function describeTool(tool: CatalogTool): Tool {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.summary,
    inputSchema: { ...tool.input_schema, type: 'object' },
    outputSchema: { ...tool.output_schema, type: 'object' },
    annotations: {
      title: tool.title,
      readOnlyHint: tool.risk === 'read',
      destructiveHint: tool.risk === 'destructive',
      idempotentHint: tool.risk === 'read',
      // Everything happens on the operator's own servers, except what a human later executes elsewhere.
      openWorldHint: tool.effect === 'proposed',
    },
  }
}
