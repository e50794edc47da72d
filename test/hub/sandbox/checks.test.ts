import { describe, expect, it } from 'vitest';
import {
  type ObstacleFacts,
  prerequisiteChecks,
  type PrerequisiteFacts,
  remedyFor,
} from '../../../hub/sandbox/prerequisites.ts';
import { type Facts, hostFilterChecks, judge } from '../../../hub/sandbox/self-test.ts';
import { verifies } from '../../support/verifies.ts';

const machine: PrerequisiteFacts = {
  linux: true,
  arch: 'x64',
  archKnown: true,
  root: false,
  bwrap: '/usr/bin/bwrap',
  lacking: [],
  missing: {},
  installer: 'apt-get install -y',
};
const bad = (facts: Partial<PrerequisiteFacts>) =>
  prerequisiteChecks({ ...machine, ...facts }).filter(({ state }) => state === 'bad');

describe('what bubblewrap takes', () => {
  it('is there: every check says so, each under an id of its own', verifies('sandbox.checks'), () => {
    const checks = prerequisiteChecks({ ...machine, root: true });
    expect(checks.every(({ state, remedy }) => state === 'ok' && remedy === undefined)).toBe(true);
    const ids = checks.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['platform', 'processor', 'bubblewrap', 'tool-setpriv']));
  });

  it.each([
    ['platform', { linux: false }, 'Linux'],
    ['processor', { arch: 'riscv64', archKnown: false }, 'x64 or arm64'],
    ['bubblewrap', { bwrap: undefined }, 'sudo apt-get install -y bubblewrap'],
    ['bubblewrap-version', { lacking: ['--size'] }, 'sudo apt-get install -y bubblewrap'],
    ['tool-prlimit', { missing: { prlimit: 'util-linux' } }, 'sudo apt-get install -y util-linux'],
    ['tool-grep', { missing: { grep: 'grep' }, root: true }, 'apt-get install -y grep'],
    ['tool-setpriv', { missing: { setpriv: 'util-linux' }, root: true }, 'apt-get install -y util-linux'],
  ] as const)(
    '%s: missing, it is bad and names the remedy',
    verifies('sandbox.checks'),
    (id, facts, remedy) => {
      expect(bad(facts)).toEqual([
        { id, state: 'bad', detail: expect.any(String), remedy: expect.stringContaining(remedy) },
      ]);
    },
  );

  it('several things are missing: all are named at once', verifies('sandbox.checks'), () => {
    const missing = { prlimit: 'util-linux', grep: 'grep' };
    expect(bad({ bwrap: undefined, missing }).map(({ id }) => id)).toEqual([
      'bubblewrap',
      'tool-grep',
      'tool-prlimit',
    ]);
  });
});

const unobstructed: ObstacleFacts = {
  root: false,
  bwrap: true,
  installer: 'dnf install -y',
  apparmorRestricts: '',
  usernsClone: '',
  maxUserNamespaces: '15000',
  inContainer: false,
  filtered: false,
};

describe('the remedy for a sandbox that does not start', () => {
  it.each([
    ['AppArmor of Ubuntu 24.04', { apparmorRestricts: '1' }, '/etc/apparmor.d/bwrap'],
    ['user namespaces are switched off (Debian)', { usernsClone: '0' }, 'kernel.unprivileged_userns_clone=1'],
    ['there may be no user namespace', { maxUserNamespaces: '0' }, 'sudo sysctl -w user.max_user_namespaces'],
    ['a container filters it', { inContainer: true, filtered: true }, 'seccomp=unconfined'],
    ['a container holds root', { inContainer: true, filtered: true, root: true }, '--privileged'],
    ['bubblewrap is gone', { bwrap: false }, 'sudo dnf install -y bubblewrap'],
    ['nobody knows', {}, 'bwrap --unshare-all'],
  ] as const)('%s', verifies('sandbox.checks'), (_, facts, remedy) => {
    expect(remedyFor({ ...unobstructed, ...facts })).toContain(remedy);
  });

  it('root is not told what keeps ordinary accounts back', verifies('sandbox.checks'), () => {
    const facts = { ...unobstructed, root: true, apparmorRestricts: '1', usernsClone: '0' };
    expect(remedyFor(facts)).toContain('bwrap --unshare-all');
    expect(remedyFor({ ...facts, maxUserNamespaces: '0' })).toBe('sysctl -w user.max_user_namespaces=15000');
  });
});

const status = [
  ...['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => `Cap${set}:\t0000000000000000`),
  'NoNewPrivs:\t1',
  'Seccomp:\t2',
].join('\n');
const held: Facts = {
  uid: 1000,
  status,
  interfaces: 'Inter-|\n face |\n    lo: 0 0\n',
  environment: ['PATH', 'HOME', 'TMPDIR', 'LANG', 'PWD'],
  firstEnvironment: 'PATH=/usr/bin:/bin\0',
  descriptors: ['pipe:[1]', 'pipe:[2]', '/dev/null', '/proc/1/fd'],
  seen: [],
  written: [],
  devices: true,
  setUid: false,
  processes: 2,
  scratchBytes: 4 * 1024 * 1024,
  limits:
    'Max core file size        0                    0                    bytes\nMax open files            1024                 1024                 files\n',
};
const failing = (facts: Partial<Facts>) =>
  judge({ ...held, ...facts }, 1000, 'mend it').filter(({ state }) => state === 'bad');

describe('what the probe saw', () => {
  it('holds: every check says so, each under an id of its own', verifies('sandbox.checks'), () => {
    expect(failing({})).toEqual([]);
    const ids = judge(held, 1000, '').map(({ id }) => id);
    expect(new Set(ids).size).toBe(13);
  });

  it.each([
    ['account', { uid: 0 }],
    ['capabilities', { status: status.replace('CapEff:\t0000000000000000', 'CapEff:\t0000000000200000') }],
    ['capabilities', { status: status.replace('CapBnd:\t0000000000000000', 'CapBnd:\t000001ffffffffff') }],
    ['no-new-privileges', { status: status.replace('NoNewPrivs:\t1', 'NoNewPrivs:\t0') }],
    ['seccomp', { status: status.replace('Seccomp:\t2', 'Seccomp:\t0') }],
    ['seccomp', { setUid: true }],
    ['network', { interfaces: 'Inter-|\n face |\n    lo: 0\n  eth0: 0\n' }],
    ['environment', { environment: ['PATH', 'HUB_SECRET'] }],
    ['environment', { firstEnvironment: 'PATH=/bin\0HUB_SECRET=x\0' }],
    ['descriptors', { descriptors: ['/home/me/.local/share/berth/hub/hub.db'] }],
    ['processes', { processes: 200 }],
    ['unseen', { seen: ['/etc/shadow'] }],
    ['unwritable', { written: ['/proc/sys/kernel/core_pattern'] }],
    ['devices', { devices: false }],
    ['scratch-bound', { scratchBytes: 8 * 1024 * 1024 }],
    ['resource-limits', { limits: held.limits.replace('1024 ', '1048576 ') }],
    ['resource-limits', { limits: held.limits.replace(' 0 ', ' unlimited ') }],
  ] as const)('%s: violated, it is bad and names the remedy', verifies('sandbox.checks'), (id, facts) => {
    expect(failing(facts as Partial<Facts>)).toEqual([
      { id, state: 'bad', detail: expect.stringContaining('does not hold'), remedy: 'mend it' },
    ]);
  });
});

describe('what the probe saw of a network of its own', () => {
  const network = { open: 'berth', shut: 'ECONNREFUSED', name: 'berth' };
  const environment = [...held.environment, 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'];
  const said = (facts: Partial<Facts>) =>
    hostFilterChecks(judge({ ...held, network, environment, ...facts }, 1000, 'mend it'));

  it('leads to the hub and nowhere else: that is said', verifies('sandbox.checks'), () => {
    expect(said({}).map(({ id, state }) => [id, state])).toEqual([
      ['host-filter-reaches-hub', 'ok'],
      ['host-filter-reaches-nothing-else', 'ok'],
    ]);
  });

  it.each([
    ['host-filter-reaches-hub', { network: { ...network, open: 'ECONNREFUSED' } }],
    ['host-filter-reaches-hub', { network: { ...network, name: 'no answer' } }],
    ['host-filter-reaches-nothing-else', { network: { ...network, shut: 'berth' } }],
    ['host-filter-network', { interfaces: 'Inter-|\n face |\n    lo: 0\n  eth0: 0\n' }],
    ['host-filter-environment', { environment: [...environment, 'HUB_SECRET'] }],
  ])(
    '%s: violated, no hosts are granted and the sandbox is used without',
    verifies('sandbox.checks'),
    (id, facts) => {
      expect(said(facts).filter(({ state }) => state !== 'ok')).toEqual([
        { id, state: 'note', detail: expect.stringContaining('does not hold'), remedy: 'mend it' },
      ]);
    },
  );

  it('certificates are told of only where there is a network', verifies('sandbox.checks'), () => {
    expect(failing({ environment }).map(({ id }) => id)).toEqual(['environment']);
  });
});
