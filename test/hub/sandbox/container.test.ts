import { chmod, mkdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  containerRuntime,
  FORM_NAMES_WITH_CONTAINERS,
  isContainer,
  openForm,
} from '../../attacks/sandbox/forms.ts';
import { outcomeOf } from '../../attacks/sandbox/outcome.ts';
import { containerArguments, environmentFile } from '../../../hub/sandbox/container-arguments.ts';
import { createContainerDriver } from '../../../hub/sandbox/container.ts';
import { complementOf, seccompProfile } from '../../../hub/sandbox/oci-seccomp.ts';
import { REVIEWED_NAMES } from '../../../hub/sandbox/syscall-names.ts';
import { expectCode } from '../../support/expect-code.ts';
import { logLines } from '../../support/log-lines.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

// Where a hub on this machine would look.
const { PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

const order = {
  plan: {
    label: 'org.example/plain@1.0.0',
    packageDir: '/packages/plain',
    runtime: { kind: 'node' as const, entry: 'index.mjs', args: [] },
    mounts: [],
    scratch: ['/workspace'],
    env: { KEY: 'swordfish' },
    files: { '/run/secrets/KEY': 'swordfish' },
    programs: [],
    network: [],
    limits: { memoryMb: 128, cpus: 0.5, pids: 16, diskMb: 4 },
  },
  name: 'berth-1-2-x',
  image: 'localhost/berth-empty:1',
  user: { uid: 65_534, gid: 65_534 },
  entries: [{ source: '/packages/plain', target: '/skill' }],
  mounts: [{ source: '/home/me/notes', target: '/workspace/notes', mode: 'r' as const }],
  envFile: '/run/berth/env',
  seccomp: '/state/seccomp.json',
  command: ['/usr/bin/node', '/skill/index.mjs', '--entrypoint', 'x'],
  reservedMb: 64,
  userns: undefined,
  limited: true,
};

describe('what podman is told', () => {
  it(
    'is no value of the environment and no secret, and all that holds a container',
    verifies('sandbox.nothing-in-listings'),
    () => {
      const said = containerArguments(order).join(' ');
      expect(said).not.toContain('swordfish');
      for (const option of [
        '--network none',
        '--read-only',
        '--cap-drop all',
        '--security-opt no-new-privileges',
        '--security-opt seccomp=/state/seccomp.json',
        '--user 65534:65534',
        '--memory 128m',
        '--memory-swap 128m',
        '--cpus 0.5',
        '--pids-limit 16',
        '--pull never',
        '/home/me/notes:/workspace/notes:ro,nosuid,nodev',
        'size=4194304',
      ])
        expect(said).toContain(option);
      expect(said).not.toContain('--privileged');
    },
  );

  it('cannot be turned into other options by a path or a value', verifies('sandbox.no-injection'), () => {
    const withMount = (source: string) => () =>
      containerArguments({ ...order, mounts: [{ source, target: '/workspace', mode: 'rw' }] });
    expect(withMount('/home/me/a:/etc:rw')).toThrow('colon');
    expect(withMount('notes')).toThrow('mount');
    expect(() => environmentFile('x', { KEY: 'one\nEVIL=1' })).toThrow('line break');
    expect(environmentFile('x', { KEY: 'a=b #c' })).toBe('KEY=a=b #c\n');
  });
});

/** What the profile does with a call, as the kernel would judge it. */
function verdict(name: string, ...args: number[]): 'allowed' | number {
  return verdictOf({ localSockets: true }, name, ...args);
}

function verdictOf(options: { localSockets: boolean }, name: string, ...args: number[]): 'allowed' | number {
  const profile = seccompProfile('x64', options);
  if (profile === undefined) throw new Error('there is a profile for x64');
  const rules = profile.syscalls.filter(({ names }) => names.includes(name));
  const fits = rules.find(({ args: conditions = [] }) =>
    conditions.every(({ index, value, valueTwo }) => ((args[index] ?? 0) & value) >>> 0 === valueTwo),
  );
  if (fits === undefined) return profile.defaultErrnoRet;
  return fits.action === 'SCMP_ACT_ALLOW' ? 'allowed' : (fits.errnoRet ?? Number.NaN);
}

describe('the filter of containers', () => {
  it.each([
    ['ptrace', [], 1],
    ['keyctl', [], 1],
    ['io_uring_setup', [], 1],
    ['unshare', [], 1],
    ['clone3', [], 38],
    ['clone', [0x10000000 | 17], 38],
    ['clone', [17], 'allowed'],
    ['socket', [1, 1, 0], 'allowed'],
    ['socket', [2, 1 | 0o2004000, 6], 'allowed'],
    ['socket', [10, 2, 0], 'allowed'],
    ['socket', [2, 3, 1], 38],
    ['socket', [16, 3, 0], 38],
    ['socket', [40, 1, 0], 38],
    ['ioctl', [0, 0x5412], 38],
    ['ioctl', [0, 0x541c], 38],
    ['ioctl', [0, 0x5423], 38],
    ['ioctl', [0, 0x5413], 'allowed'],
    ['ioctl', [0, 0x5401], 'allowed'],
    ['chmod', [0, 0o4755], 38],
    ['chmod', [0, 0o755], 'allowed'],
    ['openat', [0, 0, 0o101, 0o4755], 38],
    ['openat', [0, 0, 0, 0o6777], 'allowed'],
    ['read', [], 'allowed'],
    ['a_call_of_next_year', [], 38],
  ] as const)('%s(%j): %s', verifies('sandbox.system-calls', 'sandbox.drivers'), (name, args, expected) => {
    expect(verdict(name, ...args)).toBe(expected);
  });

  it.each([
    ['socket', [1, 1, 0], 38],
    ['socketpair', [1, 2 | 0o2000000, 0], 38],
    ['socketpair', [1, 1 | 0o2004000, 0], 'allowed'],
    ['socketpair', [1, 5, 0], 'allowed'],
    ['socket', [2, 1, 6], 'allowed'],
  ] as const)(
    'with a folder of the machine, %s(%j): %s',
    verifies('sandbox.local-sockets', 'sandbox.drivers'),
    (name, args, expected) => {
      expect(verdictOf({ localSockets: false }, name, ...args)).toBe(expected);
    },
  );

  it('knows its calls by one name each, and no other processor', verifies('sandbox.drivers'), () => {
    expect(new Set(REVIEWED_NAMES).size).toBe(REVIEWED_NAMES.length);
    expect(seccompProfile('riscv64')).toBeUndefined();
  });

  it('names all numbers but some by their beginnings', verifies('sandbox.drivers'), () => {
    const values = [0x5412, 0x541c, 0x5423];
    const pairs = complementOf(values);
    const isIn = (number: number) => pairs.some(([mask, value]) => (number & mask) >>> 0 === value);
    for (const value of values) {
      expect(isIn(value)).toBe(false);
      for (let bit = 0; bit < 32; bit += 1) expect(isIn((value ^ (1 << bit)) >>> 0)).toBe(true);
    }
    for (const other of [0, 1, 0x5411, 0x5413, 0xffff_ffff]) expect(isIn(other)).toBe(true);
  });
});

describe('without podman on the PATH', () => {
  it(
    'there is no sandbox, nothing runs, and no other one stands in',
    verifies('sandbox.drivers'),
    async () => {
      const folder = await tempFolder();
      const { log } = logLines();
      const driver = createContainerDriver({ path: folder, stateDir: folder, forbidden: [], log });
      const report = await driver.report();
      expect(report).toMatchObject({ driver: 'container', usable: false, enforces: [] });
      expect(report.problem?.hint).not.toBe('');
      await expectCode(driver.start(order.plan), 'sandbox-unavailable');
      await expectCode(driver.makeOwned(folder), 'sandbox-unavailable');
    },
  );
});

describe.each(FORM_NAMES_WITH_CONTAINERS.filter(isContainer))('a folder of a hub that is %s', (name) => {
  it(
    'that is exchanged between being looked at and being mounted is not shown',
    verifies('sandbox.mounts', 'sandbox.drivers'),
    async () => {
      const form = await openForm(name);
      onTestFinished(() => form.close());
      const [bin, marks] = [await tempFolder(), await tempFolder()];
      const [atInit, goOn] = [join(marks, 'at-init'), join(marks, 'go-on')];
      // A podman that waits before it mounts, but for the probe of the first report.
      await writeFile(
        join(bin, 'podman'),
        `#!/bin/sh
case " $* " in
*" init "*) if [ -e "${goOn}-probe" ]; then : > "${atInit}"; while [ ! -e "${goOn}" ]; do :; done; fi ;;
esac
exec podman "$@"
`.replace('exec podman', `exec ${await which('podman')}`),
        { mode: 0o755 },
      );
      const { log } = logLines();
      const driver = createContainerDriver({
        path: `${bin}:${PATH}`,
        stateDir: join(form.home, 'slow'),
        forbidden: [],
        container: containerRuntime(),
        log,
      });
      expect(await driver.report()).toMatchObject({ usable: true });
      await writeFile(`${goOn}-probe`, '');
      const secret = join(form.home, 'secret');
      await mkdir(secret);
      await writeFile(join(secret, 'key'), 'secret');
      await chmod(secret, 0o755);
      // Only read: of a folder to write in, what is held back has to be there, too.
      const plan = await form.plan(
        {
          'attack.mjs': `import fs from 'node:fs'; process.stdout.write(fs.readdirSync('/workspace').join());`,
        },
        { mounts: [{ source: form.workspace, target: '/workspace', mode: 'r' }] },
      );
      const seen = outcomeOf(driver, plan).then(
        ({ stdout }) => stdout.toString(),
        ({ code }: { code: string }) => code,
      );
      await expect
        .poll(
          () =>
            stat(atInit).then(
              () => true,
              () => false,
            ),
          { timeout: 10_000 },
        )
        .toBe(true);
      await rename(form.workspace, `${form.workspace}-aside`);
      await symlink(secret, form.workspace);
      await writeFile(goOn, '');
      expect(await seen).toBe('binding-refused');
    },
  );
});

async function which(name: string): Promise<string> {
  for (const folder of PATH.split(':'))
    if ((await stat(join(folder, name)).catch(() => undefined)) !== undefined) return join(folder, name);
  throw new Error(`${name} is not on the PATH`);
}
