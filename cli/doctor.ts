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
  /** Stays the same over versions: `sandbox.seccomp`, `home`. */
  id: string;
  what: string;
  state: 'ok' | 'note' | 'bad';
  detail: string;
  /** What to type to mend it. */
  fix?: string;
}

/** What a look answers with; its `id` only where it made several. */
type Look = Omit<Finding, 'what' | 'id'> & { id?: string };

/** Looks at this machine, the home and what runs in it. Changes nothing and never throws. */
export async function examine(context: Context): Promise<Finding[]> {
  const looks: Record<string, () => Promise<Look[]>> = {
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
      const bad: Look = { state: 'bad', detail: message, ...(hint === undefined ? {} : { fix: hint }) };
      return [bad];
    });
    findings.push(
      ...found.map(({ id, ...finding }) => ({
        id: id === undefined ? what : `${what}.${id}`,
        what,
        ...finding,
      })),
    );
  }
  return findings;
}

async function lookAtHome(home: string): Promise<Look[]> {
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

async function lookAtKeys(home: string): Promise<Look[]> {
  const keys = await authorKeys(home);
  if (keys.length === 0)
    return [{ state: 'note', detail: 'There is no key to sign with yet.', fix: 'berth keys create' }];
  return [{ state: 'ok', detail: keys.map(({ name }) => name).join(', ') }];
}

async function lookAtSandbox(context: Context): Promise<Look[]> {
  // The home may be missing or another's; looking must not make or need it.
  const scratch = await mkdtemp(join(tmpdir(), 'berth-doctor-'));
  const { driver, usable, enforces, requires, checks, notes } = await reportIn(context, scratch);
  const said = new Set(checks.map(({ detail }) => detail));
  const lacking = usable ? requires.filter((capability) => !enforces.includes(capability)) : [];
  return [
    usable
      ? { id: 'driver', state: 'ok', detail: `${driver} enforces ${enforces.join(', ')}` }
      : { id: 'driver', state: 'bad', detail: `${driver} is not usable, so no skill runs.` },
    ...checks.map(({ remedy, ...check }) => ({ ...check, ...(remedy === undefined ? {} : { fix: remedy }) })),
    ...lacking.map((capability) => ({
      id: `requires-${capability}`,
      state: 'bad' as const,
      detail: `This hub requires ${capability} of its sandbox, which does not enforce it: no skill runs.`,
      fix: `Take ${capability} out of the setting \`requires\`, or run the hub where it is enforced.`,
    })),
    ...notes
      .filter((detail) => !said.has(detail))
      .map((detail, index) => ({ id: `note-${index + 1}`, state: 'ok' as const, detail })),
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
    return await (await openSandbox(context, scratch, { egress: NO_WAY_OUT })).report();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function lookAtRegistry(context: Context): Promise<Look[]> {
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

async function lookAtHub(context: Context): Promise<Look[]> {
  try {
    const { mcp, skills, unsandboxed } = await context.hub(adminApi.status, {});
    const troubled = skills.blocked + skills.quarantined;
    return [
      { state: 'ok', detail: `${mcp} answers, ${count(skills.ready, 'skill')} ready` },
      ...unsandboxed.map((name) => ({
        id: `unsandboxed.${name}`,
        state: 'note' as const,
        detail: `${name} runs WITHOUT A SANDBOX, as it was approved to.`,
        fix: 'berth grants, then berth revoke the grant "unsandboxed"',
      })),
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
