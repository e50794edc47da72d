import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminApi } from '../hub/admin-api.ts';
import type { Egress } from '../hub/egress/egress.ts';
import { AppError, asAppError } from '../protocol/errors.ts';
import { callRoute } from '../protocol/node/http-client.ts';
import { registryApi } from '../protocol/registry-api.ts';
import { authorKeys } from './author-keys.ts';
import type { Context } from './command.ts';
import { faultInWords } from './faults.ts';
import { count } from './output.ts';
import { shellWord } from './shell-word.ts';
import { openSandbox } from './sandbox.ts';

/** One thing that was looked at. `bad` keeps Berth from working; `note` is worth knowing. */
export interface Finding {
  what: string;
  state: 'ok' | 'note' | 'bad';
  detail: string;
  /** What to type to mend it. */
  fix?: string;
}

/** Looks at this machine, the home and what runs in it. Changes nothing and never throws. */
export async function examine(context: Context): Promise<Finding[]> {
  const looks: Record<string, () => Promise<Omit<Finding, 'what'>[]>> = {
    node: async () => [{ state: 'ok', detail: `Node ${process.versions.node}` }],
    home: () => lookAtHome(context.home),
    keys: () => lookAtKeys(context.home),
    sandbox: () => lookAtSandbox(context),
    registry: () => lookAtRegistry(context),
    hub: () => lookAtHub(context),
  };
  const findings: Finding[] = [];
  for (const [what, look] of Object.entries(looks)) {
    const found = await look().catch((error: unknown) => {
      const { message, hint } = faultInWords(error, context.home);
      return [{ state: 'bad' as const, detail: message, ...(hint === undefined ? {} : { fix: hint }) }];
    });
    findings.push(...found.map((finding) => ({ what, ...finding })));
  }
  return findings;
}

async function lookAtHome(home: string): Promise<Omit<Finding, 'what'>[]> {
  const found = await stat(home).catch(() => undefined);
  if (found === undefined) return [{ state: 'note', detail: `${home} does not exist yet.`, fix: 'berth up' }];
  if (!found.isDirectory()) return [{ state: 'bad', detail: `${home} is not a folder.` }];
  const account = process.getuid?.();
  if (account !== undefined && found.uid !== account) {
    return [
      {
        state: 'bad',
        detail: `${home} belongs to another account (${found.uid}, not ${account}).`,
        fix: 'Run berth as that account, or choose another home with BERTH_HOME.',
      },
    ];
  }
  if ((found.mode & 0o077) !== 0) {
    return [
      {
        state: 'bad',
        detail: `${home} can be read by other accounts.`,
        fix: `chmod 700 ${shellWord(home)}`,
      },
    ];
  }
  return [{ state: 'ok', detail: `${home}, for this account alone` }];
}

async function lookAtKeys(home: string): Promise<Omit<Finding, 'what'>[]> {
  const keys = await authorKeys(home);
  if (keys.length === 0)
    return [{ state: 'note', detail: 'There is no key to sign with yet.', fix: 'berth keys create' }];
  return [{ state: 'ok', detail: keys.map(({ name }) => name).join(', ') }];
}

async function lookAtSandbox(context: Context): Promise<Omit<Finding, 'what'>[]> {
  // The home may be missing or another's; looking must not make or need it.
  const scratch = await mkdtemp(join(tmpdir(), 'berth-doctor-'));
  const { driver, usable, problem, enforces, notes } = await reportIn(context, scratch);
  if (!usable) {
    return [
      {
        state: 'bad',
        detail: problem?.detail ?? 'not usable',
        ...(problem === undefined ? {} : { fix: problem.hint }),
      },
    ];
  }
  return [
    { state: 'ok', detail: `${driver} enforces ${enforces.join(', ')}` },
    ...notes.map((detail) => ({ state: 'ok' as const, detail })),
  ];
}

/** For a look at what the sandbox could do: nothing is started that would use it. */
const NO_WAY_OUT: Egress = {
  open() {
    throw new AppError('unavailable', { detail: 'There is no way out of the sandbox of the doctor.' });
  },
};

async function reportIn(context: Context, scratch: string) {
  try {
    return await openSandbox(context, scratch, { egress: NO_WAY_OUT }).report();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function lookAtRegistry(context: Context): Promise<Omit<Finding, 'what'>[]> {
  const { baseUrl, token } = await context.registryAddress();
  try {
    await callRoute(registryApi.ready, { baseUrl });
  } catch (error) {
    const { message } = asAppError(error);
    const own = context.settings.registry === undefined;
    return [{ state: own ? 'note' : 'bad', detail: message, ...(own ? { fix: 'berth up' } : {}) }];
  }
  return [
    token === undefined
      ? {
          state: 'note',
          detail: `${baseUrl} answers; nobody is signed in`,
          fix: `berth login --registry ${baseUrl}`,
        }
      : { state: 'ok', detail: `${baseUrl} answers` },
  ];
}

async function lookAtHub(context: Context): Promise<Omit<Finding, 'what'>[]> {
  try {
    const { mcp, skills } = await context.hub(adminApi.status, {});
    const troubled = skills.blocked + skills.quarantined;
    return [
      { state: 'ok', detail: `${mcp} answers, ${count(skills.ready, 'skill')} ready` },
      ...(troubled === 0
        ? []
        : [
            {
              state: 'bad' as const,
              detail: `${count(troubled, 'skill')} out of service`,
              fix: 'berth list',
            },
          ]),
    ];
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not-running') throw error;
    return [{ state: 'note', detail: 'The hub is not running.', fix: 'berth up' }];
  }
}
