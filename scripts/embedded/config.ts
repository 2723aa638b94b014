// The two settings of the embedded stack, from the environment of ./bailiwick.
import { resolve } from 'node:path'
import { z } from 'zod'
import { readConfig } from '@bailiwick/kernel/config'
import { layoutOf, type Layout } from './layout.ts'

export const ROOT = resolve(import.meta.dirname, '../..')

const Settings = z.object({
  // The ports reach to base + 599; below 1024 only root may listen, and the parts are not root.
  BAILIWICK_PORT_BASE: z.coerce
    .number('is not a number')
    .int('is not a whole number')
    .min(1024, 'is below 1024')
    .max(64936, 'is above 64936')
    .default(8400),
  BAILIWICK_STATE: z.string().min(1).default(`${ROOT}/.bailiwick`),
})

/** Throws ConfigError naming the bad setting. */
export function readLayout(): Layout {
  const settings = readConfig(Settings, process.env)
  return layoutOf({ root: ROOT, state: resolve(settings.BAILIWICK_STATE), portBase: settings.BAILIWICK_PORT_BASE })
}
