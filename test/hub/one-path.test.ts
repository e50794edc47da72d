import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifies } from '../support/verifies.ts';

const hub = join(import.meta.dirname, '../../hub');
const sources = readdirSync(hub, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(hub, path), 'utf8') }));

/** Files whose code, comments aside, holds the text. */
function users(text: RegExp): string[] {
  return sources
    .filter((source) => text.test(source.text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')))
    .map((source) => source.path)
    .toSorted();
}

describe('the way to a skill', () => {
  it('is one: gateway, call, launch, runner, sandbox', verifies('call.one-path'), () => {
    expect(users(/\bcall\(callParts\b/)).toEqual(['gateway.ts']);
    expect(users(/from '\.\/call\.ts'/)).toEqual(['gateway.ts']);
    expect(users(/\bparts\.perform\(/)).toEqual(['call.ts']);
    expect(users(/\blauncher\(/)).toEqual(['launch.ts', 'main.ts']);
    expect(users(/\brunner\.request\(/)).toEqual(['launch.ts']);
    expect(users(/\bopenStdio\(/)).toEqual(['runner/connect.ts', 'runner/stdio.ts']);
    expect(users(/\bopenRemote\(/)).toEqual(['runner/connect.ts', 'runner/remote.ts']);
    expect(users(/\bdriver\.start\(/)).toEqual(['runner/stdio.ts']);
    expect(users(/\bStreamableHTTPClientTransport\(/)).toEqual(['runner/remote.ts']);
    expect(users(/\bguardedFetch\(/)).toEqual(['main.ts', 'remote/guarded-fetch.ts']);
    expect(users(/\bsession\.request\(/)).toEqual(
      users(/\bsession\.request\(/).filter((path) => path.startsWith('runner/')),
    );
    expect(users(/from 'node:child_process'/)).toEqual(
      users(/from 'node:child_process'/).filter((path) => path.startsWith('sandbox/')),
    );
  });
});
