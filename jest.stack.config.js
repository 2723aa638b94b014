// The suites against a whole stack, and those that kill it. Slow: run by .ci/run, one file after the other.
export default {
  testEnvironment: 'node',
  testMatch: [
    '<rootDir>/test/stack/**/*.test.ts',
    '<rootDir>/test/conformance/inspector.test.ts',
    '<rootDir>/test/chaos/**/*.test.ts',
  ],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/scripts/strip-types.js' },
  globalSetup: '<rootDir>/test/stack/global-setup.ts',
  globalTeardown: '<rootDir>/test/stack/global-teardown.ts',
  testTimeout: 600_000,
  maxWorkers: 1,
  // In a process of its own, so that what breaks a test file's process fails that file and not the whole run.
  workerIdleMemoryLimit: '4GB',
}
