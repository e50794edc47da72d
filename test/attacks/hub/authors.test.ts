import { describe, expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { argumentChecks, refuseUnusableSchemas } from '../../../hub/arguments.ts';
import { bwrapArguments } from '../../../hub/sandbox/bwrap-arguments.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { expectCode } from '../../support/expect-code.ts';
import { hubRig } from '../../support/hub-rig.ts';
import { installedSkill, tool } from '../../support/installed-skill.ts';
import { skillFolder } from '../../support/skill-folder.ts';
import { verifies } from '../../support/verifies.ts';

const NAME = 'local.test/subject';
/** Ends one option of bubblewrap and begins others: the whole machine at /x. */
const INJECTION = 'x\0--bind\0/\0/x';

describe('an author who writes options for the sandbox into a value', () => {
  it('gets no package made of it', verifies('sandbox.no-injection'), async () => {
    const rig = await hubRig();
    const hostile = { type: 'string', title: 'A', default: INJECTION };
    const folder = await skillFolder({
      config: { a: hostile },
      tools: { look: { code: `return fs.readdirSync('/x')` } },
    });
    await expectCode(rig.publish(folder), 'manifest-invalid');
    await expectCode(
      rig.publish(
        await skillFolder({ config: { a: { ...hostile, default: 'y', enum: ['y', INJECTION] } }, tools: {} }),
      ),
      'manifest-invalid',
    );
  });

  it('gets no value of an admin through either', verifies('sandbox.no-injection'), async () => {
    const rig = await hubRig();
    await rig.publish(
      await skillFolder({
        config: { a: { type: 'string', title: 'A' } },
        permissions: { secrets: [{ name: 'KEY' }] },
        tools: { look: { code: `return fs.readdirSync('/x')` } },
      }),
    );
    await expectCode(rig.install(NAME, '*', { config: { a: INJECTION } }), 'binding-refused');
    await expectCode(
      rig.install(NAME, '*', { config: { a: 'y' }, secrets: { KEY: INJECTION } }),
      'binding-refused',
    );
    expect(await callRoute(adminApi.skills, rig.admin)).toEqual([]);
  });

  it('is stopped by the driver itself, too', verifies('sandbox.no-injection'), async () => {
    await expectCode(
      () =>
        bwrapArguments({
          standing: { kind: 'user' } as never,
          network: 'none',
          disableUserNamespaces: false,
          entries: [],
          mounts: [],
          devices: [],
          files: [],
          scratch: [],
          diskMb: 1,
          env: { A: INJECTION },
        }),
      'binding-refused',
    );
  });
});

/** Two references to the next definition in each: 2^n ways through n definitions. */
function doubling(depth: number): Record<string, unknown> {
  const next = (index: number) => ({ $ref: `#/$defs/d${index + 1}` });
  const $defs: Record<string, unknown> = {};
  for (let index = 0; index < depth; index += 1) $defs[`d${index}`] = { allOf: [next(index), next(index)] };
  $defs[`d${depth}`] = { type: 'object', properties: { loop: { $ref: `#/$defs/d${depth}` } } };
  return { type: 'object', $defs, $ref: '#/$defs/d0' };
}

/** A small text that grows without bound where a compiler copies what is referred to. */
function copied(): Record<string, unknown> {
  const many = Object.fromEntries(Array.from({ length: 1_500 }, (_, at) => [`p${at}`, { type: 'string' }]));
  const references = Object.fromEntries(
    Array.from({ length: 100 }, (_, at) => [`q${at}`, { $ref: '#/$defs/many' }]),
  );
  return { type: 'object', $defs: { many: { type: 'object', properties: many } }, properties: references };
}

const taking = (inputSchema: Record<string, unknown>, digest = 'a') =>
  installedSkill({
    digest: `sha256:${digest.repeat(64)}`,
    surface: { tools: [tool('say', { inputSchema: { type: 'object', ...inputSchema } })] },
    answers: { say: 'allow' },
  });

/** What it took, in milliseconds, whatever came of it. */
function took(work: () => void): number {
  const began = performance.now();
  try {
    work();
  } catch {
    // Refusing is as good as an answer, if it is quick.
  }
  return performance.now() - began;
}

describe('a schema made to hang the hub', () => {
  it('by doubling is given up on, and the call is refused', verifies('call.schemas-bounded'), async () => {
    const skill = taking(doubling(60));
    expect(took(() => refuseUnusableSchemas(skill.surface))).toBeLessThan(8_000);
    const checks = argumentChecks();
    const began = performance.now();
    await expectCode(() => checks.check(skill, 'say', {}), 'arguments-invalid');
    expect(performance.now() - began).toBeLessThan(8_000);
    // The next skill is none the worse for it.
    expect(() => checks.check(taking({}, 'b'), 'say', {})).not.toThrow();
  });

  it('by comparing every item with every other is given up on', verifies('call.schemas-bounded'), () => {
    const skill = taking({ properties: { list: { type: 'array', uniqueItems: true } } });
    const list = Array.from({ length: 60_000 }, (_, at) => ({ at }));
    expect(took(() => argumentChecks().check(skill, 'say', { list }))).toBeLessThan(8_000);
  });

  it('by being copied into itself is read or refused in time', verifies('call.schemas-bounded'), () => {
    expect(took(() => refuseUnusableSchemas(taking(copied()).surface))).toBeLessThan(8_000);
  });
});

describe('schemas of honest authors', () => {
  it('of draft-07, as most servers list them, are taken', async () => {
    const skill = taking({
      $schema: 'http://json-schema.org/draft-07/schema#',
      properties: { pair: { type: 'array', items: [{ type: 'string' }, { type: 'number' }] } },
    });
    refuseUnusableSchemas(skill.surface);
    const checks = argumentChecks();
    expect(() => checks.check(skill, 'say', { pair: ['a', 1] })).not.toThrow();
    await expectCode(() => checks.check(skill, 'say', { pair: [1, 1] }), 'arguments-invalid');
  });

  it('that share an $id do not meet each other', async () => {
    const thing = (type: string) => ({
      $defs: { thing: { $id: 'https://example.org/thing', type } },
      properties: { it: { $ref: 'https://example.org/thing' } },
    });
    const checks = argumentChecks();
    const [text, number] = [taking(thing('string')), taking(thing('number'), 'b')];
    for (const skill of [text, number]) refuseUnusableSchemas(skill.surface);
    expect(() => checks.check(text, 'say', { it: 'a' })).not.toThrow();
    expect(() => checks.check(number, 'say', { it: 1 })).not.toThrow();
    await expectCode(() => checks.check(number, 'say', { it: 'a' }), 'arguments-invalid');
  });
});
