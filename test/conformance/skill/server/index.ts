import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createRequestStateCodec } from '@modelcontextprotocol/server';
import { loadSkills } from '@modelcontextprotocol/server/ext/skills/node';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { RoundState } from './asking-tools.ts';
import { fixtureServer } from './fixture.ts';

const parts = {
  codec: createRequestStateCodec<RoundState>({ key: randomBytes(32) }),
  skills: await loadSkills(join(import.meta.dirname, '../skills')),
};
serveStdio(() => fixtureServer(parts));
