// jest's global set-up of the stack suites: one embedded stack in a folder and on ports of its own.
import { Stack } from './support.ts'

export default async function globalSetup(): Promise<void> {
  const stack = new Stack(Number(process.env['TEST_STACK_PORT_BASE'] ?? 18400))
  process.env['TEST_STACK_PORT_BASE'] = String(stack.portBase)
  process.env['TEST_STACK_STATE'] = stack.state
  await stack.up()
}
