import { defineConfig } from 'vitest/config';

const project = (name: string, include: string[], testTimeout: number) => ({
  extends: true as const,
  test: { name, include, testTimeout, hookTimeout: 60_000 },
});

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    isolate: false,
    pool: 'forks',
    // Most tests wait for processes, so that more of them than processors are of use.
    maxWorkers: 4,
    restoreMocks: true,
    projects: [
      project(
        'unit',
        ['test/{protocol,registry,hub,cli,skills,conformance}/**/*.test.ts', 'test/*.test.ts'],
        60_000,
      ),
      project('contract', ['test/contract/**/*.test.ts'], 60_000),
      project('attacks', ['test/attacks/**/*.test.ts'], 120_000),
      project('e2e', ['test/e2e/**/*.test.ts'], 240_000),
    ],
  },
});
