// Runs another program in this terminal and passes its exit code on.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { ROOT } from '../embedded/config.ts'

export function runProgram(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env, cwd: ROOT })
    // Ctrl-C reaches both; the other one decides when it is finished.
    const pass = (signal: NodeJS.Signals) => (): void => void child.kill(signal)
    const [onInterrupt, onTerminate] = [(): void => undefined, pass('SIGTERM')]
    process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate)
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0))
    })
  })
}
