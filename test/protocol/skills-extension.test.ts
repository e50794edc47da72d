import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../protocol/manifest.ts';
import { contentsOf, fileUri, placeOf, readablePaths } from '../../protocol/package-files.ts';
import { describe as sentencesOf, NO_PERMISSIONS } from '../../protocol/permissions.ts';
import {
  childrenAt,
  entryAt,
  instructionsResource,
  SKILLS_EXTENSION,
  skillEntry,
} from '../../protocol/skills-extension.ts';
import { verifies } from '../support/verifies.ts';

const files = {
  'SKILL.md': 'a'.repeat(64),
  'docs/deep/one & two.md': 'b'.repeat(64),
  'docs/start.md': 'c'.repeat(64),
  'server/index.mjs': 'd'.repeat(64),
};
const entry = skillEntry(
  {
    name: 'com.acme/weather',
    files,
    signer: 'key:abc',
    version: '1.2.0',
    digest: `sha256:${'e'.repeat(64)}`,
    permissions: sentencesOf(NO_PERMISSIONS),
  },
  {
    frontmatter: { name: 'weather', description: 'Tells the weather.', metadata: { author: 'ada' } },
    sizes: { 'docs/start.md': 3, 'SKILL.md': 1, 'docs/deep/one & two.md': 2 },
  },
);
const ROOT = 'skill://com.acme/weather';

describe('the entry of a skill', () => {
  it('has the signed digests, and what Berth knows under its own prefix', verifies('skills.entry'), () => {
    expect(SKILLS_EXTENSION).toBe('io.modelcontextprotocol/skills');
    expect(entry).toMatchObject({
      uri: `${ROOT}/SKILL.md`,
      frontmatter: { name: 'weather', description: 'Tells the weather.', metadata: { author: 'ada' } },
      resources: [
        { uri: `${ROOT}/SKILL.md`, digest: `sha256:${'a'.repeat(64)}`, size: 1 },
        { uri: `${ROOT}/docs/deep/one%20%26%20two.md`, digest: `sha256:${'b'.repeat(64)}`, size: 2 },
        { uri: `${ROOT}/docs/start.md`, digest: `sha256:${'c'.repeat(64)}`, size: 3 },
      ],
      _meta: {
        'dev.berth/signer': 'key:abc',
        'dev.berth/version': '1.2.0',
        'dev.berth/package': `sha256:${'e'.repeat(64)}`,
      },
    });
    expect(JSON.stringify(entry)).toContain('It cannot reach the network');
  });

  it('shows its SKILL.md as a resource that is named and described by the front matter', () => {
    expect(instructionsResource(entry)).toEqual({
      uri: `${ROOT}/SKILL.md`,
      name: 'weather',
      description: 'Tells the weather.',
      mimeType: 'text/markdown',
      size: 1,
    });
  });

  it('is found by the URI of its SKILL.md, however it is spelled, and by no other', () => {
    expect(entryAt([entry], `${ROOT}/SKILL.md`)).toBe(entry);
    expect(entryAt([entry], `${ROOT}/SKILL%2Emd`)).toBe(entry);
    for (const uri of [ROOT, `${ROOT}/docs/start.md`, 'skill://com.acme/other/SKILL.md', 'nonsense', ''])
      expect(entryAt([entry], uri), uri).toBeUndefined();
  });
});

describe('a folder of a skill', () => {
  it('lists what lies directly in it, folders as folders', verifies('skills.directories'), () => {
    expect(childrenAt([entry], ROOT)).toEqual([
      { uri: `${ROOT}/SKILL.md`, name: 'SKILL.md', mimeType: 'text/markdown', size: 1 },
      { uri: `${ROOT}/docs`, name: 'docs', mimeType: 'inode/directory' },
    ]);
    expect(childrenAt([entry], `${ROOT}/docs/`)).toEqual([
      { uri: `${ROOT}/docs/deep`, name: 'deep', mimeType: 'inode/directory' },
      { uri: `${ROOT}/docs/start.md`, name: 'start.md', mimeType: 'text/markdown', size: 3 },
    ]);
  });

  it('is none where there is a file, nothing, or another skill', () => {
    for (const uri of [
      `${ROOT}/SKILL.md`,
      `${ROOT}/doc`,
      `${ROOT}/docs?x`,
      'skill://com.acme',
      'x://y/z',
      'x',
    ])
      expect(childrenAt([entry], uri), uri).toBeUndefined();
  });
});

describe('a skill:// URI', () => {
  it('leads back to its skill and path', () => {
    for (const path of ['', 'SKILL.md', 'a b/ü%/#?.md'])
      expect(placeOf(fileUri('com.acme/weather', path))).toEqual({ skill: 'com.acme/weather', path });
  });

  it('belongs to one skill in whatever spelling', () => {
    for (const uri of [
      'SKILL://com.acme/weather/SKILL.md',
      'skill://COM.acme/weather/x/../SKILL.md',
      'skill://com.acme/other/../weather/SKILL.md',
      'skill://com.acme/%77eather/SKILL.md',
      'skill://ada@com%2Eacme:443/weather/SKILL.md',
    ])
      expect(placeOf(uri), uri).toEqual({ skill: 'com.acme/weather', path: 'SKILL.md' });
    expect(placeOf('skill://com.acme/weather/a%2Fb')).toEqual({ skill: 'com.acme/weather', path: undefined });
    expect(placeOf('skill://com.acme/weather/%ff')).toEqual({ skill: 'com.acme/weather', path: undefined });
    expect(placeOf('skill://acme/weather/SKILL.md')).toBeUndefined();
  });
});

describe('the files of a package', () => {
  it('are readable but for the program and what Berth adds', () => {
    const manifest = parseManifest(
      JSON.stringify({
        name: 'com.acme/weather',
        version: '1.0.0',
        title: 'Weather',
        description: 'Tells the weather.',
        license: 'MIT',
        runtime: { kind: 'node', entry: 'server/index.mjs', protocol: '2025-11-25' },
      }),
    );
    expect(readablePaths(manifest, [...Object.keys(files), 'skill.json', 'surface.json'])).toEqual([
      'SKILL.md',
      'docs/deep/one & two.md',
      'docs/start.md',
    ]);
  });

  it('are text only where that loses no byte', () => {
    const sent = (path: string, bytes: Uint8Array) => contentsOf('skill://x', path, bytes)['contents'];
    expect(sent('a.md', Buffer.from('\uFEFFé'))).toMatchObject([
      { mimeType: 'text/markdown', text: '\uFEFFé' },
    ]);
    expect(sent('a.md', Buffer.from([0xff]))).toMatchObject([{ mimeType: 'text/markdown', blob: '/w==' }]);
    expect(sent('a.png', Buffer.from('x'))).toMatchObject([{ blob: 'eA==' }]);
  });
});
