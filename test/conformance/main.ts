import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Berth, hasFastLane, newHome, removeHome, startBerth } from '../support/berth.ts';
import { openFront } from './front.ts';
import { hireReferee, type Referee, type ScenarioResult, type Suite } from './referee.ts';
import { expectedFailures, verdictOn } from './verdict.ts';

const RUN_TS = join(import.meta.dirname, '../support/run-ts.mjs');
const MODERN = 'local.modern/conformance';
const LEGACY = 'local.legacy/conformance';
const SKILLS_SCENARIOS = [
  'sep-2640-skills-directory',
  'sep-2640-skills-enumeration',
  'sep-2640-skills-manifest',
];

/** What the suite runs of optional extensions, and no revision requires; the hub signs users in, and no machines. */
const CLIENT_EXTENSIONS = [
  'auth/client-credentials-basic',
  'auth/client-credentials-jwt',
  'auth/dpop',
  'auth/dpop-nonce',
  'auth/enterprise-managed-authorization',
  'auth/wif-jwt-bearer',
];

/** Of one client, all of which the suite starts at once. */
const CLIENT_TIMEOUT_MS = '120000';
/** Scenarios whose server a client has to refuse. */
const GIVES_UP = [
  'auth/iss-normalized',
  'auth/iss-supported-missing',
  'auth/iss-unexpected',
  'auth/iss-wrong-issuer',
  'auth/metadata-issuer-mismatch',
  'auth/resource-mismatch',
  'auth/scope-retry-limit',
];

process.exitCode = (await conforms()) ? 0 : 1;

/** Runs the whole suite against the fixture behind a hub, and the hub's client side against the suite; tells of each set in a line, and of each fault. */
async function conforms(): Promise<boolean> {
  const expected = expectedFailures(
    await readFile(join(import.meta.dirname, 'expected-failures.yml'), 'utf8'),
  );
  const referee = await hireReferee();
  const front = await openFront();
  const home = await newHome();
  const origin = `http://localhost:${front.port}`;
  const berth = await startBerth(home, { env: { BERTH_HUB_ORIGINS: origin } });
  try {
    await install(berth, MODERN, '2026-07-28');
    await install(berth, LEGACY, '2025-11-25');
    const { token } = await berth.ok('clients', 'add', 'referee');
    front.leadTo({ url: berth.urls.hub, token: String(token) });
    const verdicts = [];
    for (const [name, results] of await allSets(referee, (skill) => `${origin}/s/${skill}/mcp`)) {
      const verdict = verdictOn(name, results, expected);
      say(verdict.summary);
      for (const fault of verdict.faults) say(`  fails  ${fault}`);
      for (const warning of verdict.warnings) say(`  warns  ${warning}`);
      verdicts.push(verdict);
    }
    return verdicts.every(({ faults }) => faults.length === 0);
  } finally {
    await berth.stop();
    await front.close();
    await removeHome(home);
  }
}

/** Every set with what was found, in the order in which they are told. */
async function allSets(
  { judge }: Referee,
  urlOf: (skill: string) => string,
): Promise<[name: string, results: ScenarioResult[]][]> {
  const served = (suite: Suite, skill: string, ...args: string[]) =>
    judge(suite, ['server', '--url', urlOf(skill), ...args]);
  const previous = await served('conformance-previous', LEGACY, '--spec-version', '2025-11-25');
  const legacy = await served('conformance', LEGACY, '--requirements', '2025-11-25');
  // Runs the scenarios of the tasks extension as well, only without counting them.
  const modern = await served('conformance', MODERN, '--requirements', '2026-07-28');
  const skills = [];
  for (const scenario of SKILLS_SCENARIOS)
    skills.push(...(await served('conformance', MODERN, '--scenario', scenario)));
  const isTasks = ({ scenario }: ScenarioResult) => scenario.startsWith('tasks-');
  return [
    ['0.1.16, 2025-11-25', previous],
    ['2025-11-25', legacy],
    ['2026-07-28', modern.filter((result) => !isTasks(result))],
    ['tasks extension', modern.filter(isTasks)],
    ['skills extension', skills],
    // Which way a hub answers its clients has no part in how it speaks to skills.
    ...(hasFastLane ? await clientSets(judge) : []),
  ];
}

/** The hub's client side against the servers of the suite. */
async function clientSets(judge: Referee['judge']): Promise<[name: string, results: ScenarioResult[]][]> {
  const command = `${process.execPath} ${RUN_TS} ${join(import.meta.dirname, 'client.ts')}`;
  const sets: [string, ScenarioResult[]][] = [];
  for (const revision of ['2025-11-25', '2026-07-28']) {
    const args = ['client', '--command', command, '--requirements', revision, '--timeout', CLIENT_TIMEOUT_MS];
    const results = await judge('conformance', args, CLIENT_EXTENSIONS);
    sets.push([`client, ${revision}`, results.map(withItsEnd)]);
  }
  return sets;
}

/** The suite does not ask how a client ended, and one that gave up early was not checked for all. */
function withItsEnd(result: ScenarioResult): ScenarioResult {
  const { scenario, checks, said } = result;
  if (said.trim() === '' || GIVES_UP.includes(scenario)) return result;
  const [errorMessage] = said.trim().split('\n');
  return { ...result, checks: [...checks, { id: 'client-ends-well', status: 'FAILURE', errorMessage }] };
}

/** Publishes the fixture under a name and an era, and installs it with every tool allowed. */
async function install(berth: Berth, name: string, protocol: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-conformance-'));
  try {
    await cp(join(import.meta.dirname, 'skill'), folder, { recursive: true });
    const path = join(folder, 'skill.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { runtime: object };
    await writeFile(path, JSON.stringify({ ...manifest, name, runtime: { ...manifest.runtime, protocol } }));
    await berth.ok('publish', folder);
    await berth.ok('install', name, '--yes', '--allow-tool', '*');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
