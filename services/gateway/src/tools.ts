// How the catalog's tools look to an MCP client. Made once at start; a request only picks from it.
import type { Tool } from '@modelcontextprotocol/server'
import type { CatalogTool, LoadedCatalog } from '@bailiwick/contracts/catalog'

/** Tools in the catalog's order, as `tools/list` shows them. */
export const describeTools = (catalog: LoadedCatalog): ReadonlyMap<string, Tool> =>
  new Map(catalog.list.map((tool) => [tool.name, describeTool(tool)]))

/**
 * Hints are computed from risk and effect, never declared: a tool file cannot call a delete harmless. What keeps its pre-image and
 * has a proven inverse is a change, no destruction.
 */
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
      // A preview token works once: the same delete again changes nothing more.
      idempotentHint: tool.risk === 'read' || tool.risk === 'destructive',
      // Everything happens on the operator's own servers, except what a human later executes elsewhere.
      openWorldHint: tool.effect === 'proposed',
    },
  }
}
