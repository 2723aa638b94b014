// 20 rounds of SIGKILL at random under 16 clients that send every call twice; and a planted mutant that the same runner must catch.
import { rmSync } from 'node:fs'
import { Stack } from '../stack/support.ts'
import { sharedStack } from '../stack/shared-stack.ts'
import { MUTANTS, plant } from './mutants.ts'
import { runChaos, type Figures } from './runner.ts'

const MUST_BE_ZERO = [
  'acknowledgedEntriesLost',
  'acknowledgedEffectsLost',
  'doubleEffects',
  'effectsWithoutIntent',
  'wrongRefusals',
  'brokenLog',
  'stuckOperations',
] as const
const print = (line: string): void => void process.stdout.write(`  chaos: ${line}\n`)

test('20 rounds of SIGKILL lose nothing, do nothing twice and nothing unrecorded', async () => {
  const figures = await runChaos({ stack: sharedStack(), rounds: 20, print })
  print(JSON.stringify(figures))
  // Load that did nothing would prove nothing.
  expect(figures.acknowledged).toBeGreaterThan(200)
  expect(Object.fromEntries(MUST_BE_ZERO.map((name) => [name, figures[name]]))).toEqual(
    Object.fromEntries(MUST_BE_ZERO.map((name) => [name, 0])),
  )
}, 600_000)

test.each(MUTANTS)(
  'the runner catches the mutant: $name',
  async (mutant) => {
    const copy = plant(new URL('../..', import.meta.url).pathname.replace(/\/$/, ''), mutant)
    const stack = new Stack(28_400, undefined, copy)
    try {
      await stack.up()
      const figures: Figures = await runChaos({
        stack,
        rounds: mutant.rounds,
        victims: mutant.victims,
        roundMs: 4000,
        print,
      })
      print(`${mutant.name}: ${JSON.stringify(figures)}`)
      expect(MUST_BE_ZERO.some((name) => figures[name] > 0)).toBe(true)
    } finally {
      await stack.destroy()
      rmSync(copy, { recursive: true, force: true })
    }
  },
  600_000,
)
