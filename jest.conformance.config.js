// The official conformance suite against the real pipeline. The Inspector's CLI wants a whole stack: jest.stack.config.js. Run by .ci/run.
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/conformance/suite.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/scripts/strip-types.js' },
  globalSetup: '<rootDir>/test/conformance/global-setup.ts',
  globalTeardown: '<rootDir>/packages/testing/src/global-teardown.ts',
  testTimeout: 300_000,
  maxWorkers: 1,
}
