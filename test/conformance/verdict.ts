import { failed, type ScenarioResult } from './referee.ts';

/** Scenarios of the suite that check nothing yet, whatever the server does. */
const EMPTY_SCENARIOS: readonly string[] = ['tasks-status-notifications'];

/** What clients are asked about the handshake, which MCP 2026-07-28 does not have. */
const HANDSHAKE = /header on (?:initialize|notifications\/initialized) request$/;

/** How one set of scenarios went. */
export interface Verdict {
  /** One line with the counts. */
  summary: string;
  /** What must not be, a sentence each; empty when all holds. */
  faults: string[];
  /** What the suite would rather have otherwise, and no specification demands. */
  warnings: string[];
}

/**
 * Judges a set. A scenario passes when none of its checks failed and none was skipped: the suite skips what a
 * server does not declare, which must not count as conformant. Expected failures that pass are faults, too.
 */
export function verdictOn(
  name: string,
  results: readonly ScenarioResult[],
  expected: readonly string[],
): Verdict {
  const count = (status: string) =>
    results.reduce((sum, { checks }) => sum + checks.filter((check) => check.status === status).length, 0);
  const failing = new Map(results.map((result) => [result.scenario, faultOf(result)] as const));
  const passed = [...failing.values()].filter((fault) => fault === undefined).length;
  const faults = [...failing].flatMap(([scenario, fault]) => {
    if (fault !== undefined && !expected.includes(scenario)) return [`${scenario}: ${fault}`];
    return fault === undefined && expected.includes(scenario)
      ? [`${scenario}: passes, but is listed as an expected failure`]
      : [];
  });
  if (results.length === 0) faults.push('nothing was run');
  return {
    summary: [
      name,
      `${passed} of ${results.length} scenarios pass`,
      `checks: ${count('SUCCESS')} hold, ${count('FAILURE')} fail, ${count('WARNING')} warn, ${count('SKIPPED')} skipped`,
    ].join(' · '),
    faults,
    warnings: results.flatMap(({ scenario, checks }) =>
      checks.filter(({ status }) => status === 'WARNING').map((check) => `${scenario}: ${sentence(check)}`),
    ),
  };
}

function faultOf({ scenario, checks }: ScenarioResult): string | undefined {
  const wrong = checks.filter(failed);
  if (wrong.length > 0) return wrong.map(sentence).join('; ');
  const skipped = checks.filter(
    ({ status, description = '' }) => status === 'SKIPPED' && !HANDSHAKE.test(description),
  );
  if (skipped.length > 0 && !EMPTY_SCENARIOS.includes(scenario))
    return `was not tried: ${skipped.map(({ id }) => id).join(', ')}`;
  return undefined;
}

function sentence({ id, errorMessage }: ScenarioResult['checks'][number]): string {
  return errorMessage === undefined ? id : `${id}: ${errorMessage}`;
}

/** The scenarios named in `expected-failures.yml`, which has no more YAML in it than a list. */
export function expectedFailures(yaml: string): string[] {
  return [...yaml.matchAll(/^ +- +(\S+) *$/gm)].map(([, scenario = '']) => scenario);
}
