import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SkillsClient } from '@modelcontextprotocol/client/ext/skills';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { type HubRig, hubRig } from '../../support/hub-rig.ts';
import { newClient } from '../../support/mcp-clients.ts';
import { skillFolder } from '../../support/skill-folder.ts';
import { verifies } from '../../support/verifies.ts';

const review = join(import.meta.dirname, '../../../skills/review');
const REVIEW = 'skill://dev.berth/review';
const SUBJECT = 'skill://local.test/subject';

/** A skill with a program, its instructions and a text beside them. */
async function documentedSkill(): Promise<string> {
  const folder = await skillFolder({ tools: { hello: { code: `return 'hello'` } } });
  await writeFile(
    join(folder, 'SKILL.md'),
    '---\nname: subject\ndescription: Says hello.\n---\nCall hello.\n',
  );
  await mkdir(join(folder, 'docs'));
  await writeFile(join(folder, 'docs', 'when.md'), 'When somebody comes in.\n');
  const manifest = JSON.parse(await readFile(join(folder, 'skill.json'), 'utf8')) as object;
  await writeFile(join(folder, 'skill.json'), JSON.stringify({ ...manifest, files: ['docs'] }));
  return folder;
}

async function rigWithSkills(): Promise<HubRig & { token: string }> {
  const rig = await hubRig();
  await rig.publish(review);
  await rig.install('dev.berth/review', '*', {});
  await rig.publish(await documentedSkill());
  await rig.install('local.test/subject', '*', {});
  const { token } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'host' } });
  return Object.assign(rig, { token });
}

async function connect(url: string, token: string, mode: 'legacy' | { pin: string }) {
  const client = await newClient({ url, token }, mode);
  return { client, skills: new SkillsClient(client) };
}

describe.each([
  ['modern', { pin: '2026-07-28' }],
  ['legacy', 'legacy'],
] as const)('a host of the %s era', (era, mode) => {
  it(
    'lists, gets and reads skills, and every byte is the signed one',
    verifies('skills.served'),
    async () => {
      const rig = await rigWithSkills();
      const { client, skills } = await connect(rig.hub.mcp, rig.token, mode);
      expect([skills.supported, skills.directoryRead]).toEqual([true, true]);

      const listing = await skills.list();
      expect(listing.skills.map(({ uri }) => uri)).toEqual([`${REVIEW}/SKILL.md`, `${SUBJECT}/SKILL.md`]);
      expect([listing.ttlMs, listing.cacheScope]).toEqual(
        era === 'modern' ? [5000, 'private'] : [undefined, undefined],
      );
      for (const entry of listing.skills) {
        const { skill } = await skills.get(entry.uri);
        expect(skill).toEqual(entry);
        const { _meta: meta } = skill;
        expect(meta).toMatchObject({
          'dev.berth/signer': expect.stringMatching(/^key:/),
          'dev.berth/version': '1.0.0',
          'dev.berth/package': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
          'dev.berth/permissions': { cannot: expect.arrayContaining(['It cannot reach the network']) },
        });
        if (skill.resources === 'dynamic') throw new Error('the files have no digests');
        for (const { uri } of skill.resources)
          expect(await skills.read(skill, uri), uri).toMatchObject({ verified: true });
      }
      const [first] = listing.skills;
      const source = await readFile(join(review, 'SKILL.md'));
      expect(first?.resources).toContainEqual({
        uri: `${REVIEW}/SKILL.md`,
        digest: `sha256:${createHash('sha256').update(source).digest('hex')}`,
        size: source.length,
      });

      const names = async (uri: string) =>
        (await skills.readDirectory(uri)).resources.map(({ name }) => name);
      expect(await names(REVIEW)).toEqual(['README.md', 'SKILL.md', 'references']);
      expect(await names(`${SUBJECT}/docs`)).toEqual(['when.md']);
      for (const uri of [`${REVIEW}/SKILL.md`, `${REVIEW}/none`, 'skill://local.test/other', 'x'])
        await expect(skills.readDirectory(uri), uri).rejects.toMatchObject({ code: -32_602 });
      for (const uri of ['skill://local.test/other/SKILL.md', `${REVIEW}/references/tests.md`, REVIEW])
        await expect(skills.get(uri), uri).rejects.toMatchObject({ code: -32_602 });
      for (const uri of [REVIEW, `${SUBJECT}/skill.json`, `${SUBJECT}/server/index.mjs`])
        await expect(client.readResource({ uri }), uri).rejects.toMatchObject({ code: -32_602 });
      await expect(skills.list({ cursor: 'x' })).rejects.toMatchObject({ code: -32_602 });
    },
  );

  it('finds the same at the door of one skill, and no extension where there is no SKILL.md', async () => {
    const rig = await rigWithSkills();
    await rig.publish(await skillFolder({ name: 'local.test/mute', tools: { hello: { code: 'return 1' } } }));
    await rig.install('local.test/mute', '*', {});
    const door = (name: string) => connect(`${rig.hub.url}/s/${name}/mcp`, rig.token, mode);

    const { client, skills } = await door('local.test/subject');
    const { skills: entries } = await skills.list();
    expect(entries.map(({ uri }) => uri)).toEqual([`${SUBJECT}/SKILL.md`]);
    expect(await skills.read(entries[0]!, 'docs/when.md')).toMatchObject({
      text: 'When somebody comes in.\n',
    });
    expect((await client.listResources()).resources).toMatchObject([
      { name: 'subject', mimeType: 'text/markdown' },
    ]);
    await expect(client.readResource({ uri: `${REVIEW}/SKILL.md` })).rejects.toMatchObject({ code: -32_602 });

    const mute = await door('local.test/mute');
    expect(mute.skills.supported).toBe(false);
    await expect(mute.skills.get(`${SUBJECT}/SKILL.md`)).rejects.toThrow();
  });
});

describe('reading a skill', () => {
  it('is decided and on record, and starts nothing', verifies('skills.recorded'), async () => {
    const rig = await rigWithSkills();
    const { client } = await connect(rig.hub.mcp, rig.token, { pin: '2026-07-28' });
    await client.readResource({ uri: `${SUBJECT}/SKILL.md` });
    const records = (event: string) => callRoute(adminApi.audit, { ...rig.admin, query: { event } });
    expect(JSON.stringify(await records('call.decided'))).toContain(`${SUBJECT}/SKILL.md`);
    expect(await records('call.finished')).toHaveLength(1);
    expect(await records('skill.started')).toEqual([]);
  });

  it('is refused when the installed file was changed', verifies('skills.files-rechecked'), async () => {
    const rig = await rigWithSkills();
    const { client, skills } = await connect(rig.hub.mcp, rig.token, { pin: '2026-07-28' });
    const { _meta: meta } = (await skills.get(`${SUBJECT}/SKILL.md`)).skill;
    const folder = String(meta?.['dev.berth/package']).replace(':', '-');
    const file = join(rig.home, 'hub', 'packages', folder, 'docs', 'when.md');
    await writeFile(file, 'Whenever you like.\n');
    await expect(client.readResource({ uri: `${SUBJECT}/docs/when.md` })).rejects.toMatchObject({
      data: { code: 'files-changed' },
    });
    // The others are as they were signed.
    await client.readResource({ uri: `${SUBJECT}/SKILL.md` });
    await rig.restart();
    const again = await connect(rig.hub.mcp, rig.token, { pin: '2026-07-28' });
    expect((await again.skills.list()).skills.map(({ uri }) => uri)).toEqual([`${REVIEW}/SKILL.md`]);
  });

  it('ends with the approval of the skill', async () => {
    const rig = await rigWithSkills();
    const { client, skills } = await connect(rig.hub.mcp, rig.token, 'legacy');
    await callRoute(adminApi.removeSkill, {
      ...rig.admin,
      params: { namespace: 'local.test', name: 'subject' },
      query: {},
    });
    expect((await skills.list()).skills.map(({ uri }) => uri)).toEqual([`${REVIEW}/SKILL.md`]);
    await expect(client.readResource({ uri: `${SUBJECT}/SKILL.md` })).rejects.toMatchObject({
      code: -32_602,
    });
  });
});
