import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packSkill } from '../../cli/pack.ts';
import { guardedFetch } from '../../hub/remote/guarded-fetch.ts';
import { REDIRECT_URL } from '../../hub/remote/reach.ts';
import { protectedRemote, remoteFolder, SKILL } from '../hub/remote/rig.ts';
import { signInAs } from '../support/authorization-server.ts';
import { hubRig } from '../support/hub-rig.ts';
import { plainDriver } from '../support/plain-driver.ts';
import { modernRemote } from '../support/remote-server.ts';
import { runCli } from '../support/run-cli.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { privateInternet } from '../support/tls.ts';
import { verifies } from '../support/verifies.ts';

/** A hub with a remote skill whose server wants a sign-in, and the commands at its terminal. */
async function rig() {
  const internet = await privateInternet();
  const { server } = await protectedRemote(internet);
  const hub = await hubRig({ outside: internet.outside });
  const fetched = guardedFetch(internet.outside) as typeof fetch;
  const agree = (url: URL) => signInAs('ada', url, { fetched, redirectUrl: REDIRECT_URL });
  await hub.publish(await remoteFolder(server.url), undefined, agree);
  const env = { BERTH_HOME: hub.home };
  const berth = (...argv: string[]) => runCli(argv, { env });
  /** Does in a browser what the command asks for. */
  const browse = async (text: string): Promise<void> => {
    const url = /^https:\S+$/m.exec(text)?.[0];
    if (url === undefined) return;
    await fetch(`${REDIRECT_URL}?code=stray&state=of-another`);
    await fetch(`${REDIRECT_URL}?${(await agree(new URL(url))).toString()}`);
  };
  return { hub, berth, signIn: () => runCli(['sign-in', SKILL], { env, told: (text) => void browse(text) }) };
}

describe('berth sign-in', () => {
  it('signs in through a browser, and is taken back', verifies('remote.sign-in', 'cli.undo'), async () => {
    const { hub, berth, signIn } = await rig();
    await hub.install(SKILL, undefined, { tools: { '*': 'allow' } });
    const refused = await berth('call', SKILL, 'echo', '{"message":"x"}');
    expect([refused.code, refused.stderr.includes(`berth sign-in ${SKILL}`)]).toEqual([4, true]);
    const first = await signIn();
    expect([first.code, first.stderr]).toEqual([0, expect.stringContaining('Signed in')]);
    // The second sign-in is for what the first call then wants beyond.
    expect((await berth('call', SKILL, 'echo', '{"message":"x"}')).code).toBe(4);
    expect((await signIn()).code).toBe(0);
    expect((await berth('call', SKILL, 'echo', '{"message":"hello"}')).stdout).toContain('hello');
    expect((await berth('sign-in', SKILL)).stderr).toContain('asks for no sign-in');
    expect((await berth('sign-in', SKILL, '--forget')).code).toBe(0);
    expect((await berth('call', SKILL, 'echo', '{"message":"x"}')).code).toBe(4);
  });
});

describe('the commands that show a remote skill', () => {
  it('say that it cannot be verified', verifies('remote.said'), async () => {
    const { hub, berth, signIn } = await rig();
    const shown = async (...argv: string[]) => {
      const { stdout, stderr } = await berth(...argv, '--registry', hub.registry.url);
      return stdout + stderr;
    };
    const { approval } = await hub.install(SKILL);
    const texts = await Promise.all([shown('search'), shown('info', SKILL), shown('inbox'), shown('status')]);
    await hub.install(SKILL, undefined, { tools: { '*': 'allow' } });
    texts.push((await berth('list')).stdout, await shown('info', SKILL));
    expect((await signIn()).code).toBe(0);
    await berth('call', SKILL, 'echo', '{"message":"x"}');
    expect((await signIn()).code).toBe(0);
    expect((await berth('call', SKILL, 'echo', '{"message":"x"}')).code).toBe(0);
    texts.push(await shown('status'));
    for (const text of texts) expect(text).toContain('cannot be verified');
    expect(approval?.unverified).toHaveLength(1);
  });

  it('say so when it is published', verifies('remote.said'), async () => {
    const internet = await privateInternet();
    const server = await modernRemote({ http: internet.http, origin: 'https://tools.example' });
    const remote = { fetch: guardedFetch(internet.outside), authorize: undefined };
    const { archive } = await packSkill({ driver: plainDriver(), remote }, await remoteFolder(server.url));
    const cwd = await tempFolder();
    await writeFile(join(cwd, 'elsewhere.tgz'), archive);
    const { json } = await runCli(['publish', 'elsewhere.tgz', '--dry-run', '--json'], { cwd });
    expect(json()).toMatchObject({ ok: true, warnings: [expect.stringContaining('cannot be verified')] });
  });
});
