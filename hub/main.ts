import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { openDatabase } from '../protocol/node/database.ts';
import { createApp, listen, LOOPBACK_NAMES } from '../protocol/node/http-server.ts';
import { readOrCreateKey } from '../protocol/node/keys.ts';
import type { Logger } from '../protocol/node/logger.ts';
import { mountAdmin } from './admin.ts';
import { argumentChecks } from './arguments.ts';
import { openAuditLog } from './audit/audit-log.ts';
import { type Client, openClients } from './clients.ts';
import { type Clock, systemClock, timestamp } from './clock.ts';
import type { HubConfig } from './config.ts';
import { auditEventOf } from './egress/audit.ts';
import { createEgress } from './egress/session.ts';
import { exposingGateway } from './exposure.ts';
import { createGateway } from './gateway.ts';
import { mcpFirst, mountHub } from './http.ts';
import type { InstallParts } from './install.ts';
import { type InstalledSkill, openInstalledSkills } from './installed.ts';
import { launcher, portsOfNetworks, surfaceCapture } from './launch.ts';
import { createMcpEndpoint } from './mcp/endpoint.ts';
import type { ClientAccess } from './oauth/client-access.ts';
import { fetchJson } from './oauth/fetch-json.ts';
import { hubPaths } from './paths.ts';
import { openProfiles } from './profiles.ts';
import { answersPolicy } from './policy/answers.ts';
import { quarantine } from './quarantine.ts';
import { recentlyUsed } from './recent.ts';
import { recordStart, sweepLeftovers } from './recovery.ts';
import { guardedFetch, OPEN_INTERNET, type Outside } from './remote/guarded-fetch.ts';
import { createReach } from './remote/reach.ts';
import { secretTexts } from './remote/sign-ins.ts';
import { createSigningIn } from './remote/signing-in.ts';
import { registryClient } from './registry-client.ts';
import { createSubscriptions } from './subscriptions.ts';
import { halfOfTheMemory } from './runner/pool.ts';
import type { RunnerLimits } from './runner/runner.ts';
import { createRunner } from './runner/supervisor.ts';
import { readCertificates } from './sandbox/certificates.ts';
import { createSandboxDriver } from './sandbox/drivers.ts';
import { checkInterpreters } from './sandbox/interpreters.ts';
import { createUnsandboxedDriver } from './sandbox/unsandboxed.ts';
import { fileSecrets } from './secrets/file-secrets.ts';
import { hubMigrations } from './store/migrations/migrations.ts';
import type { HubTables } from './store/schema.ts';
import { openTasks } from './tasks/tasks.ts';

export interface HubParts {
  log: Logger;
  /** Berth's version, for clients and `status`. */
  version: string;
  /** Variables that skills may be granted, such as TZ; nothing else of it is used. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Where remote skills may be, and where names lead: the open internet, and for tests a place of theirs. */
  outside?: Outside;
}

/** How long those whose calls were broken off have to take the answer that says so. */
const BREAK_OFF_GRACE_MS = 2_000;

/** A hub that accepts calls. */
export interface RunningHub {
  url: string;
  /** The aggregate endpoint, `<url>/mcp`. */
  mcp: string;
  /**
   * Takes nothing new, lets calls in flight go on for `drainMs` or until `hasten` aborts and breaks off the rest; then
   * ends every skill, signs the audit head and closes. Nothing of it runs afterwards.
   */
  stop(hasten?: AbortSignal): Promise<void>;
}

/**
 * Starts a hub: the one place where its parts are chosen and put together. The caller holds the lock of the home.
 * @throws AppError when it cannot run safely: a damaged database, a port in use, unreadable keys.
 */
export async function startHub(
  config: HubConfig,
  { log, version, environment, outside = OPEN_INTERNET }: HubParts,
): Promise<RunningHub> {
  await checkInterpreters(config);
  const paths = hubPaths(join(config.home, 'hub'));
  const certificates = config.sandboxCa === undefined ? undefined : await readCertificates(config.sandboxCa);
  await mkdir(paths.hubDir, { recursive: true, mode: 0o700 });
  // Its mode is what keeps other accounts from the admin socket, also where a backup was put back.
  await chmod(paths.hubDir, 0o700);
  const clock = systemClock;
  const identity = { name: 'berth', version };
  const database = await openDatabase<HubTables>(paths.database, { migrations: hubMigrations });
  const db = database.query;
  const auditKey = await readOrCreateKey(join(paths.keys, 'audit.pem'));
  const audit = await openAuditLog({ database, key: auditKey, clock });
  const noted = (work: Promise<unknown>) =>
    void work.catch((error: unknown) => log.error({ err: error }, 'could not record what a skill did'));
  let doors: readonly { host: string; port: number }[] = [];
  const driver = createSandboxDriver(config.sandbox, {
    path: config.path,
    node: config.node,
    python: config.python,
    stateDir: paths.sandbox,
    forbidden: [config.home],
    requires: config.requires,
    container: config.container,
    log,
    ...(certificates === undefined ? {} : { certificates }),
    egress: createEgress({
      clock,
      resolve: outside.resolve,
      doors: () => doors,
      events: (event) => noted(audit.note(auditEventOf(event))),
    }),
  });
  const sandbox = await driver.report();
  const { usable, problem } = sandbox;
  if (!usable) log.error({ problem }, 'no usable sandbox: this hub will not run any skill');
  const lacking = config.requires.filter((capability) => usable && !sandbox.enforces.includes(capability));
  if (lacking.length > 0)
    log.error({ lacking }, 'the sandbox lacks what this hub requires: it will not run any skill');
  const { allowUnsandboxed } = config;
  const unsandboxed = createUnsandboxedDriver({
    allowed: allowUnsandboxed,
    path: config.path,
    node: config.node,
    python: config.python,
    forbidden: [config.home],
    stateDir: join(paths.sandbox, 'unsandboxed'),
    log,
  });

  await sweepLeftovers(paths, db);
  const installed = await openInstalledSkills({
    db,
    packagesDir: paths.packages,
    sandbox,
    allowUnsandboxed,
  });
  for (const { name } of installed.list().filter((skill) => skill.unsandboxed && allowUnsandboxed))
    log.warn({ skill: name }, 'this skill runs WITHOUT A SANDBOX, as it was approved to');
  const secrets = await fileSecrets(paths.secrets, new Set(installed.list().map(({ name }) => name)));
  const clients = await openClients({ db, audit, clock });
  const profiles = await openProfiles({ db, audit, clock });
  const registry = registryClient({ url: config.registry, db, audit, clock });
  const runner = createRunner({
    // Only what an admin approved for it gets none; the driver without one refuses every other plan.
    driver: { start: (plan) => (plan.unsandboxed === true ? unsandboxed : driver).start(plan) },
    clock,
    identity,
    log,
    limits: runnerLimits(config.runner),
    events: {
      started(event) {
        noted(audit.append({ event: 'skill.started', ...event }));
        subscriptions.started(event.skill, event.user);
      },
      resourceUpdated: (resource) => subscriptions.updated(resource),
      stopped(event) {
        noted(audit.append({ event: 'skill.stopped', ...event }));
        subscriptions.ended(event.skill, event.user);
      },
      surfaceChanged: ({ skill, version: of, differences }) =>
        noted(quarantine(installParts, skill, of, differences)),
    },
  });
  const capture = surfaceCapture({ driver, identity, log, clock });
  const installParts: InstallParts = {
    db,
    audit,
    installed,
    fetch: { registry, paths, capture },
    driver,
    unsandboxed,
    allowUnsandboxed,
    runner,
    secrets,
    paths,
    clock,
  };
  const reach = createReach({
    fetch: guardedFetch(outside),
    secrets,
    audit,
    clientMetadataUrl: config.clientMetadataUrl,
  });
  const launch = launcher({ runner, driver, unsandboxed, secrets, paths, audit, environment, reach });
  const signingIn = createSigningIn({ driver, identity, log, clock, reach, audit });
  const serving = (name: string): InstalledSkill => {
    const skill = installed.get(name);
    if (skill !== undefined && skill.quarantine === undefined && skill.blocked === undefined) return skill;
    throw new AppError('not-installed', { detail: `${name} does not serve any more.` });
  };
  const subscriptions = createSubscriptions({
    renew: async ({ skill, user, uri }) =>
      launch.perform(serving(skill), user, {
        method: 'resources/subscribe',
        params: { uri },
        signal: new AbortController().signal,
      }),
    release: async ({ skill, user, uri }) => launch.release(serving(skill), user, uri),
    log,
  });
  const checks = argumentChecks();
  const keepNetworksReady = () => driver.keepReady(portsOfNetworks(installed.list()));
  installed.onChange(keepNetworksReady);
  keepNetworksReady();
  const approved = new Set(installed.list().map(({ digest }) => digest));
  installed.onChange(() => {
    for (const skill of installed.list().filter(({ digest }) => !approved.has(digest))) {
      approved.add(skill.digest);
      void checks.prepare(skill);
    }
  });
  let ownHosts: readonly string[] = [];
  const whole = createGateway({
    installed,
    argumentChecks: checks,
    policy: answersPolicy({ answerOf: (skill, tool) => installed.get(skill)?.tools.get(tool)?.answer }),
    audit,
    perform: launch.perform,
    subscriptions,
    secretsOf: (skill) => secretTexts(secrets.of(skill)),
    clock,
    ownHosts: () => ownHosts,
    newCallId: () => `call_${randomUUID()}`,
    log,
  });

  const gateway = exposingGateway({ whole, installed, clients, profiles });

  const names = { hosts: [...LOOPBACK_NAMES.hosts, ...config.hosts], origins: config.origins };
  const tasks = await openTasks({
    db,
    audit,
    clock,
    newTaskId: () => `task_${randomBytes(24).toString('base64url')}`,
    log,
    limits: config.tasks,
  });
  // A hub without authorization servers does not carry what it takes to check their tokens.
  const access: ClientAccess =
    config.oauth === undefined
      ? { gateway, authenticate: (token) => clients.authenticate(token) }
      : (await import('./oauth/client-access.ts')).clientAccess(config.oauth, {
          gateway,
          clients,
          installed,
          fetchJson,
          clock,
        });
  const endpoint = createMcpEndpoint({
    ...access,
    tasks,
    serverInfo: { name: 'berth', title: 'Berth', version },
    ownHosts: () => ownHosts,
    log,
    limits: { requestRate: config.rate.client },
  });
  await recordStart(db, audit);
  const app = createApp({ log, names });
  mountHub(app, {
    ready: () => audit.head().records > 0,
    protectedResource: access.protectedResource,
  });
  const open = await listen(app, { host: config.host, port: config.port }, mcpFirst(endpoint));
  const mcp = `${open.url}/mcp`;
  const { port } = new URL(open.url);
  doors = [open.url, config.registry].map(doorOf);
  ownHosts = [
    ...names.hosts.map((host) => `${host.toLowerCase()}:${port}`),
    ...names.origins.map((origin) => new URL(origin).host),
  ];

  const adminApp = createApp({ log });
  mountAdmin(adminApp, {
    ...installParts,
    clients: { ...clients, remove: (name) => removeClient(name) },
    profiles,
    signingIn,
    gateway,
    auditKeys: [auditKey.record],
    version,
    startedAt: timestamp(clock),
    urls: () => ({ hub: open.url, mcp, registry: config.registry }),
  });
  /** A removed client's open sessions end with its token. */
  async function removeClient(name: string): Promise<Client> {
    try {
      return await clients.remove(name);
    } finally {
      await endpoint.end(name);
    }
  }
  const admin = await listen(adminApp, { socketPath: paths.adminSocket });
  if (config.runner.startAhead > 0) {
    void recentlyUsed(db, config.runner.startAhead)
      .then((uses) => launch.startAhead(installed, uses))
      .catch((error: unknown) => log.error({ err: error }, 'no skill was started ahead'));
  }

  return {
    url: open.url,
    mcp,
    async stop(hasten) {
      const answered = Promise.all([open.drain(), admin.drain()]).then(() => tasks.idle());
      endpoint.drain();
      if (!(await inTime(answered, { clock, ms: config.drainMs, hasten })))
        log.warn({ drainMs: config.drainMs }, 'calls in flight are broken off, for the hub has to stop');
      // First the skills: whoever still waits for one is told why.
      await Promise.all([tasks.close(), runner.close()]);
      await driver.close();
      await Promise.all([open.close(BREAK_OFF_GRACE_MS), admin.close(BREAK_OFF_GRACE_MS)]);
      await endpoint.close();
      try {
        await audit.append({ event: 'hub.stopped' });
        await audit.close();
      } catch (error) {
        // On a full disk a hub still stops; the next start signs what this one could not.
        log.error({ err: error }, 'the end of this run could not be recorded');
      }
      await database.close();
    },
  };
}

/** Where a server answers that no sandbox has any business with. */
function doorOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (protocol === 'https:' ? 443 : 80),
  };
}

const MB = 1024 * 1024;

function runnerLimits({
  maxChildren,
  idleStopMs,
  memoryMb,
  warmMb,
}: HubConfig['runner']): Partial<RunnerLimits> {
  const memoryBytes = memoryMb === undefined ? halfOfTheMemory() : memoryMb * MB;
  return { maxChildren, idleStopMs, memoryBytes, warmBytes: warmMb * MB };
}

/** Whether work is done before its time is up, or somebody wants it over. */
async function inTime(
  work: Promise<unknown>,
  { clock, ms, hasten }: { clock: Clock; ms: number; hasten: AbortSignal | undefined },
): Promise<boolean> {
  let stopWaiting = (): void => undefined;
  const over = new Promise<false>((resolve) => {
    stopWaiting = clock.after(ms, () => resolve(false));
    if (hasten?.aborted === true) resolve(false);
    hasten?.addEventListener('abort', () => resolve(false), { once: true });
  });
  try {
    return await Promise.race([work.then(() => true), over]);
  } finally {
    stopWaiting();
  }
}
