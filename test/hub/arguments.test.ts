import { describe, expect, it } from 'vitest';
import { argumentChecks, refuseUnusableSchemas } from '../../hub/arguments.ts';
import { expectCode } from '../support/expect-code.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { verifies } from '../support/verifies.ts';

function skillTaking(inputSchema: Record<string, unknown>) {
  return installedSkill({
    surface: { tools: [tool('go', { inputSchema: { type: 'object', ...inputSchema } })] },
  });
}

describe('arguments', () => {
  it(
    'are checked against the approved schema, naming the fault',
    verifies('call.arguments-checked'),
    async () => {
      const skill = skillTaking({
        properties: { path: { type: 'string' }, mode: { enum: ['a', 'b'] } },
        required: ['path'],
        additionalProperties: false,
      });
      const checks = argumentChecks();
      checks.check(skill, 'go', { path: 'x', mode: 'a' });
      const fault = async (args: unknown) =>
        (await expectCode(() => checks.check(skill, 'go', args), 'arguments-invalid')).message;
      expect(await fault({})).toContain('path');
      expect(await fault({ path: 1 })).toContain('/path');
      expect(await fault({ path: 'x', extra: 1 })).toContain('extra');
      expect(await fault({ path: 'x', mode: 'c' })).toContain('mode');
    },
  );

  it('are checked alike whether the schema was prepared or not, and a bad schema harms nobody', async () => {
    const broken = skillTaking({ properties: { path: { $ref: '#/nowhere' } } });
    const sound = skillTaking({ required: ['path'] });
    const checks = argumentChecks();
    await checks.prepare({ ...broken, digest: `sha256:${'b'.repeat(64)}` });
    await checks.prepare(sound);
    checks.check(sound, 'go', { path: 'x' });
    await expectCode(() => checks.check(sound, 'go', {}), 'arguments-invalid');
    expect(() => checks.check({ ...broken, digest: `sha256:${'b'.repeat(64)}` }, 'go', {})).toThrow();
  });

  it('understand JSON Schema 2020-12', async () => {
    const skill = skillTaking({
      properties: {
        pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], items: false },
      },
      dependentRequired: { pair: ['why'] },
    });
    const checks = argumentChecks();
    checks.check(skill, 'go', { pair: ['a', 1], why: '' });
    await expectCode(() => checks.check(skill, 'go', { pair: ['a', 1, 2], why: '' }), 'arguments-invalid');
    await expectCode(() => checks.check(skill, 'go', { pair: ['a'] }), 'arguments-invalid');
  });

  it('cannot make the hub hang by a pattern that backtracks', verifies('call.patterns-linear'), async () => {
    const skill = skillTaking({ properties: { text: { type: 'string', pattern: '^(a+)+$' } } });
    const checks = argumentChecks();
    await expectCode(
      () => checks.check(skill, 'go', { text: `${'a'.repeat(50_000)}!` }),
      'arguments-invalid',
    );
    checks.check(skill, 'go', { text: 'aaaa' });
  });

  it('tell the patterns of one schema apart', async () => {
    const pattern = (text: string) => ({ type: 'string', pattern: text });
    const skill = skillTaking({
      properties: { a: pattern('^a$'), b: pattern('^b$'), odd: pattern('(?=x)y') },
    });
    const checks = argumentChecks();
    checks.check(skill, 'go', { a: 'a', b: 'b', odd: 'left to the skill' });
    await expectCode(() => checks.check(skill, 'go', { a: 'b' }), 'arguments-invalid');
    await expectCode(() => checks.check(skill, 'go', { b: 'a' }), 'arguments-invalid');
  });

  it('schemas that reach outside or are no schemas are refused before approval', async () => {
    for (const inputSchema of [
      { properties: { a: { $ref: 'https://example.com/schema.json' } } },
      { properties: { a: { type: 'nonsense' } } },
    ]) {
      await expectCode(() => refuseUnusableSchemas(skillTaking(inputSchema).surface), 'surface-mismatch');
    }
  });
});
