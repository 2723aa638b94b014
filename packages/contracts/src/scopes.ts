// The 33 scopes (mechanisms.md §2) and what they imply. Not offered on purpose: deleting certificates or backups,
// changing who is notified, moving money.

const RIGHTS: Readonly<Record<string, readonly ('read' | 'write' | 'delete')[]>> = {
  websites: ['read', 'write', 'delete'],
  domains: ['read', 'write', 'delete'],
  databases: ['read', 'write', 'delete'],
  email: ['read', 'write', 'delete'],
  dns: ['read', 'write', 'delete'],
  ssl: ['read', 'write'],
  apps: ['read', 'write', 'delete'],
  jobs: ['read', 'write'],
  packages: ['read', 'write'],
  files: ['read', 'write', 'delete'],
  backups: ['read', 'write'],
  commerce: ['read', 'write'],
  profile: ['read'],
}

export const SCOPES: readonly string[] = [
  ...Object.entries(RIGHTS).flatMap(([domain, rights]) => rights.map((right) => `${domain}:${right}`)),
  'offline_access',
]

export const PRESETS: Readonly<Record<'read' | 'standard' | 'admin', readonly string[]>> = {
  read: SCOPES.filter((scope) => scope.endsWith(':read')),
  standard: SCOPES.filter((scope) => /:(read|write)$/.test(scope)),
  admin: SCOPES.filter((scope) => /:(read|write|delete)$/.test(scope)),
}

/** What `granted` amounts to: `:write` implies `:read`; `:delete` is never implied and implies nothing but previews (policy's matter). */
export function effectiveScopes(granted: readonly string[]): string[] {
  const effective = new Set(granted.filter((scope) => SCOPES.includes(scope)))
  for (const scope of granted) {
    if (scope.endsWith(':write') && effective.has(scope)) effective.add(scope.replace(':write', ':read'))
  }
  return [...effective].sort()
}

export const scopeDomain = (scope: string): string => scope.split(':')[0]!
