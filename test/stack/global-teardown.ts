// Ends the shared stack and removes its folder.
import { sharedStack } from './shared-stack.ts'

export default async function globalTeardown(): Promise<void> {
  await sharedStack().destroy()
}
