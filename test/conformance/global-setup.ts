// jest's global set-up of these suites: the programs, PostgreSQL and Valkey.
import startServers from '@bailiwick/testing/global-setup'
import { installPrograms } from './programs.ts'

export default async function globalSetup(): Promise<void> {
  installPrograms()
  await startServers()
}
