// Every tool, one line each. The catalog, the gateway's tool list and the docs come from here.
import type { Tool } from '../define-tool.ts'

export const tools: readonly Tool[] = []
