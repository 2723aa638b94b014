// Can the parts, which are not root, read the checkout and reach their state? A checkout below a closed home (/root) is common:
// then the supervisor lives in a mount namespace of its own where both appear below /run.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { USERS, mountFolder, type Layout } from './layout.ts'
import { PlainError } from './plain-error.ts'

/** As the gateway's user: what every part must be able to do. */
const canAs = (test: string, ...paths: string[]): boolean =>
  spawnSync(
    'setpriv',
    [
      `--reuid=${USERS.gateway}`,
      `--regid=${USERS.gateway}`,
      '--clear-groups',
      'sh',
      '-c',
      `for path in "$@"; do test ${test} "$path" || exit 1; done`,
      'sh',
      ...paths,
    ],
    { stdio: 'ignore' },
  ).status === 0

const isReachable = (folder: string): boolean => canAs('-x', folder)

/** The command before the supervisor's own, and the paths that it will see. */
export type Place = {
  readonly prefix: readonly string[]
  readonly root: string
  readonly state: string
  readonly mounted: boolean
}

/** Decides where the parts will find checkout and state. PlainError when nothing helps. */
export function choosePlace(layout: Layout): Place {
  const { root, state } = layout
  if (isReachable(root) && isReachable(state)) return { prefix: [], root, state, mounted: false }
  const folder = mountFolder(state)
  const place = {
    root: `${folder}/checkout`,
    state: state.startsWith(`${root}/`) ? `${folder}/checkout${state.slice(root.length)}` : `${folder}/state`,
  }
  for (const path of [folder, `${folder}/checkout`, `${folder}/state`])
    mkdirSync(path, { recursive: true, mode: 0o755 })
  const prefix = [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    'mount --bind "$1" "$2" && mount --bind "$3" "$4" && shift 4 && exec "$@"',
    'sh',
    root,
    `${folder}/checkout`,
    state,
    `${folder}/state`,
  ]
  const [command = '', ...args]: string[] = [
    ...prefix,
    'setpriv',
    `--reuid=${USERS.gateway}`,
    `--regid=${USERS.gateway}`,
  ]
  const tried = spawnSync(
    command,
    [...args, '--clear-groups', 'test', '-r', place.root, '-a', '-x', place.root, '-a', '-x', place.state],
    { stdio: 'ignore' },
  )
  if (tried.status === 0) return { prefix, ...place, mounted: true }
  removeMountFolder(state)
  throw new PlainError(
    `other users cannot reach ${isReachable(root) ? state : root} (it or a folder above it is closed to them), and the services are other users: move the checkout to a folder that is open to all, such as /opt/bailiwick, or open it and the folders above it (chmod o+rx)`,
  )
}

/** Outside of the supervisor's namespace it is empty. */
export function removeMountFolder(state: string): void {
  for (const folder of ['/checkout', '/state', '']) {
    const path = `${mountFolder(state)}${folder}`
    if (existsSync(path)) rmdirSync(path)
  }
}

/** Every source file must be readable for all: a checkout made under umask 077 is not. */
export function checkReadable({ root }: Layout): void {
  const closed: string[] = []
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`
      if (entry.name === 'node_modules' || entry.isSymbolicLink()) continue
      const { mode } = statSync(path)
      if ((mode & (entry.isDirectory() ? 0o005 : 0o004)) !== (entry.isDirectory() ? 0o005 : 0o004)) closed.push(path)
      else if (entry.isDirectory()) walk(path)
    }
  }
  for (const folder of ['packages', 'services', 'nginx', 'powerdns', 'valkey']) walk(`${root}/${folder}`)
  const needed = [`${root}/package.json`, `${root}/node_modules`, ...closed.slice(0, 1)]
  if (closed.length > 0 || !canAs('-r', ...needed) || !canAs('-x', process.execPath))
    throw new PlainError(
      `the services, which are not root, cannot read ${closed[0] ?? 'the checkout'}: run chmod -R o+rX on the checkout's folder (it was probably made under umask 077)`,
    )
}
