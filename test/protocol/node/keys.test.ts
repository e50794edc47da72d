import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createKey,
  publicKeyOf,
  publicRecord,
  readKey,
  readOrCreateKey,
  signBytes,
  writeKey,
} from '../../../protocol/node/keys.ts';
import { createLogger } from '../../../protocol/node/logger.ts';
import { createToken, hashOfToken, isToken } from '../../../protocol/node/tokens.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

describe('keys', () => {
  it('of both kinds are kept, read back, and sign what their public half verifies', async () => {
    for (const algorithm of ['ed25519', 'p256'] as const) {
      const path = join(await tempFolder(), 'keys', 'author.pem');
      const key = createKey(algorithm);
      await writeKey(path, key);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const read = await readKey(path);
      expect(read.record).toEqual(key.record);
      expect(publicKeyOf(read.record.publicKey)).toEqual(key.record);
      const publicKey = createPublicKey({
        key: Buffer.from(key.record.publicKey, 'base64'),
        format: 'der',
        type: 'spki',
      });
      const bytes = Buffer.from('words');
      expect(verify(algorithm === 'p256' ? 'sha256' : null, bytes, publicKey, signBytes(read, bytes))).toBe(
        true,
      );
      expect(publicRecord(publicKey)).toEqual(key.record);
    }
  });

  it(
    'are never overwritten, and leave nothing behind when refused',
    verifies('registry.keys-kept'),
    async () => {
      const folder = await tempFolder();
      const path = join(folder, 'author.pem');
      const key = createKey();
      await writeKey(path, key);
      await expectCode(writeKey(path, createKey()), 'key-exists');
      expect((await readKey(path)).record).toEqual(key.record);
      expect(await readdir(folder)).toEqual(['author.pem']);
    },
  );

  it('are the same for everyone who asks first at the same time', async () => {
    const path = join(await tempFolder(), 'author.pem');
    const made = await Promise.all([1, 2, 3, 4].map(() => readOrCreateKey(path)));
    expect(new Set(made.map(({ record }) => record.keyId)).size).toBe(1);
  });

  it('are refused when others can read them, when they are missing, and when they are of another kind', async () => {
    const folder = await tempFolder();
    const path = join(folder, 'author.pem');
    await writeKey(path, createKey());
    await chmod(path, 0o644);
    await expectCode(readKey(path), 'config-invalid');
    await expectCode(readKey(join(folder, 'none.pem')), 'key-not-found');
    const garbage = join(folder, 'garbage.pem');
    await writeFile(garbage, 'garbage', { mode: 0o600 });
    await expectCode(readKey(garbage), 'key-not-found');
    await expectCode(
      () => publicRecord(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey),
      'key-not-found',
    );
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({
      type: 'spki',
      format: 'der',
    });
    await expectCode(() => publicKeyOf(p384.toString('base64')), 'request-invalid');
  });
});

describe('tokens', () => {
  it(
    'are recognised by form and check sum, and stay out of the log',
    verifies('registry.tokens-secret'),
    () => {
      const token = createToken();
      expect(isToken(token)).toBe(true);
      const typo = token.endsWith('0') ? `${token.slice(0, -1)}1` : `${token.slice(0, -1)}0`;
      expect([typo, token.slice(1), `${token}0`, ''].map(isToken)).toEqual([false, false, false, false]);
      expect(hashOfToken(token).length).toBe(32);
      const lines: string[] = [];
      const log = createLogger({
        level: 'info',
        name: 'test',
        destination: { write: (line) => void lines.push(line) },
      });
      log.info(
        { headers: { authorization: `Bearer ${token}` }, err: new Error(`got ${token}`) },
        `token ${token} came`,
      );
      log.info({ authorization: 'Basic dXNlcjpwYXNzd29yZA==' }, 'also');
      expect(lines.length).toBe(2);
      expect(lines.join()).not.toContain(token);
      expect(lines.join()).not.toContain('dXNlcjpwYXNzd29yZA');
      expect(() => lines.map((line) => JSON.parse(line) as unknown)).not.toThrow();
    },
  );
});
