import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeConfig, loadConfig, type ConfigFault } from '../../../protocol/node/config.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const schema = z.strictObject({
  host: z.string().default('127.0.0.1').describe('Address to listen on.'),
  port: z.int().min(0).max(65_535).default(4751).describe('Port to listen on.'),
  trusted: z.array(z.string()).default([]).describe('Trusted names.'),
  level: z.enum(['info', 'debug']).default('info').describe('How much to log.'),
  password: z.string().min(8).optional().describe('Opens doors.').meta({ secret: true }),
  limits: z
    .strictObject({
      uploadBytes: z.int().default(10).describe('Largest upload in bytes.'),
      strict: z.boolean().default(true).describe('No exceptions.'),
    })
    .prefault({}),
});
const prefix = 'BERTH_TEST_';

async function fileWith(text: string): Promise<string> {
  const path = join(await tempFolder(), 'config.json');
  await writeFile(path, text);
  return path;
}

describe('loadConfig', () => {
  it('takes the last word of defaults, file, environment and command line', async () => {
    const file = await fileWith('{"host":"a","port":1,"limits":{"uploadBytes":20,"strict":false}}');
    const env = {
      BERTH_TEST_PORT: '2',
      BERTH_TEST_LIMITS_STRICT: 'true',
      BERTH_TEST_TRUSTED: 'x, y',
      OTHER: 'z',
    };
    expect(await loadConfig(schema, { file, env, prefix, overrides: { port: 3, host: undefined } })).toEqual({
      host: 'a',
      port: 3,
      trusted: ['x', 'y'],
      level: 'info',
      limits: { uploadBytes: 20, strict: true },
    });
    expect((await loadConfig(schema, { env: {}, prefix })).limits).toEqual({ uploadBytes: 10, strict: true });
  });

  it(
    'names key, source, value and remedy of every fault at once, never a secret',
    verifies('registry.config'),
    async () => {
      const file = await fileWith('{"limits":{"uploadBites":5},"level":"loud"}');
      const env = { BERTH_TEST_PORT: 'high', BERTH_TEST_PROT: '1', BERTH_TEST_PASSWORD: 'hunter2' };
      const error = await expectCode(loadConfig(schema, { file, env, prefix }), 'config-invalid');
      const faults = error.data?.['faults'] as ConfigFault[];
      expect(faults.map(({ key, source }) => [key, source])).toEqual([
        ['BERTH_TEST_PROT', 'environment'],
        ['port', 'BERTH_TEST_PORT'],
        ['level', `file ${file}`],
        ['password', 'BERTH_TEST_PASSWORD'],
        ['limits.uploadBites', `file ${file}`],
      ]);
      expect(faults.map(({ remedy }) => remedy)).toEqual([
        'Did you mean BERTH_TEST_PORT?',
        expect.stringContaining('Port to listen on.'),
        expect.stringContaining('"info" | "debug"'),
        expect.stringContaining('Opens doors.'),
        'Did you mean limits.uploadBytes?',
      ]);
      expect(error.message).toContain('"high"');
      expect(JSON.stringify([error.message, error.data])).not.toContain('hunter2');
    },
  );

  it('refuses a file that is missing, no JSON, or no object', async () => {
    for (const text of ['{', '[]', 'null']) {
      await expectCode(loadConfig(schema, { file: await fileWith(text), env: {}, prefix }), 'config-invalid');
    }
    const missing = join(await tempFolder(), 'none.json');
    await expectCode(loadConfig(schema, { file: missing, env: {}, prefix }), 'config-invalid');
  });
});

describe('describeConfig', () => {
  it('lists every setting with its variable, type and default', () => {
    expect(
      describeConfig(schema, prefix).map(({ env, type, default: fallback }) => [env, type, fallback]),
    ).toEqual([
      ['BERTH_TEST_HOST', 'text', '127.0.0.1'],
      ['BERTH_TEST_PORT', 'number', 4751],
      ['BERTH_TEST_TRUSTED', 'list', []],
      ['BERTH_TEST_LEVEL', '"info" | "debug"', 'info'],
      ['BERTH_TEST_PASSWORD', 'text', undefined],
      ['BERTH_TEST_LIMITS_UPLOAD_BYTES', 'number', 10],
      ['BERTH_TEST_LIMITS_STRICT', 'boolean', true],
    ]);
  });
});
