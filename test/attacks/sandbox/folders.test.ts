import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { folderAt } from '../../../hub/sandbox/folder-identity.ts';
import type { SandboxMount } from '../../../hub/sandbox/sandbox.ts';
import { identityOf } from '../../../hub/sandbox/processes.ts';
import { verifies } from '../../support/verifies.ts';
import { type Answer, type Attack, attackProgram, type Tools } from './attack-program.ts';
import { answersIn, type Form, FORM_NAMES, FORM_NAMES_WITH_CONTAINERS, hubLike, openForm } from './forms.ts';

const run = promisify(execFile);

/** Each attack, and the errors one of which it must meet. */
const REFUSED: Readonly<Record<string, { attack: Attack<null>; meets: readonly string[] }>> = {
  'plants a hook': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/.git/hooks/pre-commit', ''),
    meets: ['EROFS'],
  },
  'sets a command in the config of git': {
    attack: ({ fs }) => fs.appendFileSync('/workspace/.git/config', '[core]'),
    meets: ['EROFS'],
  },
  'spells the place with dots and slashes': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/x/.././/.git//./config', ''),
    meets: ['EROFS', 'ENOENT'],
  },
  'goes there by way of its own link': {
    attack: ({ fs }) => {
      fs.symlinkSync('.git', '/workspace/by-link');
      fs.writeFileSync('/workspace/by-link/config', '');
    },
    meets: ['EROFS'],
  },
  'goes there from its working folder': {
    attack: ({ fs }) => {
      process.chdir('/workspace');
      fs.writeFileSync('.git/hooks/pre-push', '');
    },
    meets: ['EROFS'],
  },
  'goes there through /proc': {
    attack: ({ fs }) => fs.writeFileSync('/proc/self/root/workspace/.git/config', ''),
    meets: ['EROFS'],
  },
  'goes there from an open folder': {
    attack: ({ fs }) => fs.writeFileSync(`/proc/self/fd/${fs.openSync('/workspace/.git', 'r')}/config`, ''),
    meets: ['EROFS'],
  },
  'makes another common folder for git': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/.git/commondir', '../evil'),
    meets: ['EROFS'],
  },
  'renames the repository away': {
    attack: ({ fs }) => fs.renameSync('/workspace/.git', '/workspace/git-2'),
    meets: ['EBUSY'],
  },
  'renames another over the repository': {
    attack: ({ fs }) => {
      fs.mkdirSync('/workspace/evil-git');
      fs.renameSync('/workspace/evil-git', '/workspace/.git');
    },
    meets: ['EBUSY'],
  },
  'renames its own file over the config': {
    attack: ({ fs }) => {
      fs.writeFileSync('/workspace/evil-config', '');
      fs.renameSync('/workspace/evil-config', '/workspace/.git/config');
    },
    meets: ['EXDEV', 'EROFS', 'EBUSY'],
  },
  'removes the repository': {
    attack: ({ fs }) => fs.rmSync('/workspace/.git', { recursive: true }),
    meets: ['EROFS', 'EBUSY'],
  },
  'opens the hooks to everybody': {
    attack: ({ fs }) => fs.chmodSync('/workspace/.git/hooks', 0o777),
    meets: ['EROFS'],
  },
  'writes .envrc': { attack: ({ fs }) => fs.writeFileSync('/workspace/.envrc', 'evil'), meets: ['EROFS'] },
  'empties .envrc': { attack: ({ fs }) => fs.truncateSync('/workspace/.envrc'), meets: ['EROFS'] },
  'removes .envrc': { attack: ({ fs }) => fs.unlinkSync('/workspace/.envrc'), meets: ['EBUSY'] },
  'gives .envrc a second name to write it by': {
    attack: ({ fs }) => fs.linkSync('/workspace/.envrc', '/workspace/env'),
    meets: ['EXDEV'],
  },
  'links its own file to the place of .envrc': {
    attack: ({ fs }) => {
      fs.writeFileSync('/workspace/evil-envrc', '');
      fs.renameSync('/workspace/evil-envrc', '/workspace/.envrc');
    },
    meets: ['EBUSY'],
  },
  'makes .vscode, which does not exist': {
    attack: ({ fs }) => fs.mkdirSync('/workspace/.vscode'),
    meets: ['EEXIST'],
  },
  'writes .vscode/tasks.json': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/.vscode/tasks.json', ''),
    meets: ['EROFS'],
  },
  'removes the stand-in for .vscode': {
    attack: ({ fs }) => fs.rmdirSync('/workspace/.vscode'),
    meets: ['EBUSY'],
  },
  'renames the stand-in for .idea away': {
    attack: ({ fs }) => fs.renameSync('/workspace/.idea', '/workspace/idea'),
    meets: ['EBUSY'],
  },
  'renames its own folder to .cursor': {
    attack: ({ fs }) => {
      fs.mkdirSync('/workspace/evil-cursor');
      fs.renameSync('/workspace/evil-cursor', '/workspace/.cursor');
    },
    meets: ['EBUSY'],
  },
  'writes .mcp.json, which does not exist': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/.mcp.json', '{}'),
    meets: ['EISDIR', 'EROFS'],
  },
  'puts a link in the place of .claude': {
    attack: ({ fs }) => fs.symlinkSync('evil', '/workspace/.claude'),
    meets: ['EEXIST'],
  },
  'makes a workflow': {
    attack: ({ fs }) => fs.mkdirSync('/workspace/.github/workflows'),
    meets: ['EROFS'],
  },
  'makes .husky': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/.husky/pre-commit', ''),
    meets: ['EROFS'],
  },
  'makes .devcontainer': {
    attack: ({ fs }) => fs.writeFileSync('/workspace/.devcontainer/devcontainer.json', ''),
    meets: ['EROFS'],
  },
  'opens a device in the folder': {
    attack: ({ fs }) => fs.openSync('/workspace/device', 'r'),
    meets: ['EACCES'],
  },
  'talks to a socket in the folder': {
    attack: ({ net }) =>
      new Promise((resolve, reject) =>
        net
          .connect('/workspace/socket')
          .on('connect', () => resolve('connected'))
          .on('error', reject),
      ),
    meets: ['EAFNOSUPPORT'],
  },
};

const DONE: Readonly<Record<string, Attack<null>>> = {
  'makes a file': ({ fs }) => fs.writeFileSync('/workspace/made.txt', 'made'),
  'makes a folder with a repository of its own': ({ fs }) =>
    fs.mkdirSync('/workspace/deep/.git', { recursive: true }),
  'writes .gitignore': ({ fs }) => fs.writeFileSync('/workspace/.gitignore', 'x'),
  'reads the config of git': ({ fs }) => fs.readFileSync('/workspace/.git/config', 'utf8'),
  // A file that somebody on the host gave a second name in the folder is in the folder.
  'writes what the host linked into the folder': ({ fs }) => fs.writeFileSync('/workspace/linked', 'written'),
  flags: ({ fs }) => / \/workspace ([\w,]+) /.exec(fs.readFileSync('/proc/self/mountinfo', 'utf8'))?.[1],
};

/** All that lies there belongs to whom the folder belongs to. */
async function givenTo(form: Form, folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }))
    await chown(join(entry.parentPath, entry.name), form.owner, form.owner);
  await chown(folder, form.owner, form.owner);
}

describe.each(FORM_NAMES_WITH_CONTAINERS)('a skill that may write in a folder, the hub being %s', (name) => {
  let form: Form;
  let server: Server;
  let answers: Record<string, Answer>;
  let left: string[];

  beforeAll(async () => {
    form = await openForm(name);
    const { workspace } = form;
    await mkdir(join(workspace, '.git', 'hooks'), { recursive: true });
    await writeFile(join(workspace, '.git', 'config'), '[core]\n');
    await writeFile(join(workspace, '.envrc'), 'export A=1\n');
    await link(form.neighbour, join(workspace, 'linked'));
    if (process.getuid?.() === 0) await run('mknod', [join(workspace, 'device'), 'c', '1', '5']);
    else await writeFile(join(workspace, 'device'), '', { mode: 0o000 });
    server = createServer((socket) => socket.end('reached'));
    await new Promise<void>((resolve) => void server.listen(join(workspace, 'socket'), resolve));
    await chmod(join(workspace, 'socket'), 0o777);
    await givenTo(form, workspace);
    const attacks: Record<string, Attack<null>> = { ...DONE };
    for (const [title, { attack }] of Object.entries(REFUSED)) attacks[title] = attack;
    const { stdout, stderr, exit } = await form.run(
      await form.plan({ 'attack.mjs': attackProgram(attacks, null) }),
    );
    expect({ stderr, exit }).toEqual({ stderr: '', exit: { code: 0, signal: null } });
    answers = JSON.parse(stdout.toString()) as Record<string, Answer>;
    left = await readdir(workspace);
  });
  afterAll(async () => {
    server.close();
    await form.close();
  });

  it.each(Object.entries(REFUSED))(
    '%s: refused',
    verifies('folders.held-back', 'folders.no-way-out', 'sandbox.local-sockets'),
    (title, { meets }) => {
      expect(answers[title]).toHaveProperty('refused');
      const { refused } = answers[title] as { refused: string };
      expect(answersIn<string>(name, meets, 'ENOSYS')).toContain(refused);
    },
  );

  it.each(Object.keys(DONE))('%s: works', verifies('folders.held-back'), (title) => {
    expect(answers[title]).toHaveProperty('got');
  });

  it('has it without devices and set-uid files', verifies('folders.no-way-out'), () => {
    const { got } = answers['flags'] as { got: string };
    expect(got.split(',')).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
  });

  it('leaves behind what it made and no stand-in', verifies('folders.nothing-left-behind'), async () => {
    expect(left.toSorted()).toEqual([
      '.envrc',
      '.git',
      '.gitignore',
      'by-link',
      'deep',
      'device',
      'evil-config',
      'evil-cursor',
      'evil-envrc',
      'evil-git',
      'linked',
      'made.txt',
      'socket',
    ]);
    expect((await readdir(join(form.workspace, '.git'))).toSorted()).toEqual(['config', 'hooks']);
    expect(await readFile(join(form.workspace, '.git', 'config'), 'utf8')).toBe('[core]\n');
  });
});

/** Programs before the machine's: a bubblewrap that first does something else, as often as it finds a script. */
async function meddler({
  byPath,
}: {
  byPath: boolean;
}): Promise<{ programs: string; before(script: string): Promise<void> }> {
  const programs = await mkdtemp(join(tmpdir(), 'berth-meddler-'));
  onTestFinished(() => rm(programs, { recursive: true, force: true }));
  await chmod(programs, 0o755);
  const script = join(programs, 'script');
  const { stdout } = await run('sh', ['-c', 'command -v bwrap']);
  const real = stdout.trim();
  // By path is how an older bubblewrap mounts, which has no such options to show. Perl adds nothing of its own.
  const source = `#!/usr/bin/perl
    if ($ARGV[0] eq '--help') { print grep { ${byPath ? '!/bind-fd/' : '1'} } \`${real} --help\`; exit }
    if (-e '${script}') { system('sh', '${script}') }
    exec { '${real}' } 'bwrap', @ARGV;`;
  await writeFile(join(programs, 'bwrap'), source, { mode: 0o755 });
  await chmod(join(programs, 'bwrap'), 0o755);
  return {
    programs,
    async before(text) {
      await writeFile(script, text);
      await chmod(script, 0o644);
    },
  };
}

const SAYS_WHAT_IT_SEES = {
  see: ({ fs }: Tools) => fs.readdirSync('/workspace').filter((one) => !one.startsWith('.')),
};

// The meddler comes before bubblewrap; test/hub/sandbox/container.test.ts has one that comes before podman.
describe.each(FORM_NAMES)('a folder that is swapped while it is being mounted, the hub being %s', (name) => {
  const SWAPS: Readonly<Record<string, (folder: string, secret: string) => string>> = {
    'for a link': (folder, secret) => `mv ${folder} ${folder}.old; ln -s ${secret} ${folder}`,
    'for another folder': (folder, secret) => `mv ${folder} ${folder}.old; mv ${secret} ${folder}`,
  };

  it.each(
    Object.entries(SWAPS).flatMap(([swap, script]) =>
      [true, false].map((byPath) => ({ swap, script, byPath })),
    ),
  )('$swap, by path: $byPath', verifies('folders.that-very-one'), async ({ script, byPath }) => {
    const { programs, before } = await meddler({ byPath });
    const form = await openForm(name, { programs });
    onTestFinished(() => form.close());
    const [folder, secret] = [join(form.workspace, 'mine'), join(form.workspace, 'secret')];
    await mkdir(folder);
    await writeFile(join(folder, 'own'), '');
    await mkdir(secret);
    await writeFile(join(secret, 'stolen'), '');
    await givenTo(form, form.workspace);
    const identity = await folderAt(folder);
    const mounts: SandboxMount[] = [
      { source: folder, target: '/workspace', mode: 'r', ...(identity && { identity }) },
    ];
    const plan = await form.plan({ 'attack.mjs': attackProgram(SAYS_WHAT_IT_SEES, null) }, { mounts });
    expect((await form.run(plan)).stdout.toString()).toBe('{"see":{"got":["own"]}}');
    await before(script(folder, secret));
    const outcome = form.run(plan).then(
      ({ stdout }) => stdout.toString(),
      (error: { code: string }) => error.code,
    );
    // By descriptor it is the one that was opened, whatever became of its name.
    expect(await outcome).toBe(byPath ? 'skill-start-failed' : '{"see":{"got":["own"]}}');
  });

  it.each([true, false])(
    'in the place of .git, by path: %s',
    verifies('folders.held-back'),
    async (byPath) => {
      const { programs, before } = await meddler({ byPath });
      const form = await openForm(name, { programs });
      onTestFinished(() => form.close());
      const git = join(form.workspace, '.git');
      await mkdir(git);
      await mkdir(join(form.workspace, 'evil'));
      await givenTo(form, form.workspace);
      const attack = attackProgram(
        { write: ({ fs }) => fs.writeFileSync('/workspace/.git/config', 'evil') },
        null,
      );
      const plan = await form.plan({ 'attack.mjs': attack });
      expect((await form.run(plan)).stdout.toString()).toBe('{"write":{"refused":"EROFS"}}');
      for (const swap of [`mv ${git} ${git}.1; ln -s evil ${git}`, `rm ${git}; mkdir ${git}`]) {
        await before(swap);
        const outcome = await form.run(plan).then(
          ({ stdout }) => stdout.toString(),
          (error: { code: string }) => error.code,
        );
        expect(['skill-start-failed', 'binding-refused', '{"write":{"refused":"EROFS"}}']).toContain(outcome);
        expect(await readdir(join(form.workspace, 'evil'))).toEqual([]);
      }
    },
  );

  it.runIf(process.getuid?.() === 0)(
    'by a bind mount of the hub’s home in it',
    verifies('folders.never-the-hubs'),
    async () => {
      const { programs, before } = await meddler({ byPath: false });
      const form = await openForm(name, { programs });
      const inner = join(form.workspace, 'inner');
      const shared = join(form.workspace, 'shared');
      await mkdir(inner);
      await mkdir(shared);
      await givenTo(form, form.workspace);
      // A mount of root’s, made where the hub cannot have looked: it lies there before, out of sight.
      await run('mount', ['--bind', form.home, shared]);
      onTestFinished(async () => {
        await run('umount', ['-l', shared]);
        await form.close();
      });
      const mounts: SandboxMount[] = [{ source: inner, target: '/workspace', mode: 'r' }];
      const plan = await form.plan({ 'attack.mjs': attackProgram(SAYS_WHAT_IT_SEES, null) }, { mounts });
      await expect(form.run({ ...plan, mounts: [{ ...mounts[0]!, source: shared }] })).rejects.toMatchObject({
        code: 'binding-refused',
      });
      await expect(
        form.run({ ...plan, mounts: [{ ...mounts[0]!, source: form.workspace }] }),
      ).rejects.toMatchObject({ code: 'binding-refused' });
      if (form.owner !== 0 && name === 'an ordinary user') return;
      await before(`mount --bind ${form.home} ${inner}`);
      const late = form.run({ ...plan, mounts: [{ ...mounts[0]!, source: form.workspace }] });
      await expect(late).rejects.toMatchObject({ code: 'binding-refused' });
    },
  );
});

describe.each(FORM_NAMES_WITH_CONTAINERS)('a granted folder, the hub being %s', (name) => {
  let form: Form;
  beforeAll(async () => {
    form = await openForm(name);
  });
  afterAll(() => form.close());

  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'ran',
      (error: { code: string }) => error.code,
    );
  const outcomeIn = async (mounts: SandboxMount[], more = {}) =>
    codeOf(form.run(await form.plan({ 'attack.mjs': '' }, { mounts, ...more })));

  it('is refused when another lies at its path', verifies('folders.that-very-one'), async () => {
    const folder = join(form.workspace, 'granted');
    await mkdir(folder);
    await givenTo(form, form.workspace);
    const identity = (await folderAt(folder))!;
    const mount: SandboxMount = { source: folder, target: '/workspace', mode: 'r', identity };
    expect(await outcomeIn([mount])).toBe('ran');
    await rename(folder, `${folder}.old`);
    expect(await outcomeIn([mount])).toBe('binding-refused');
    await symlink(`${folder}.old`, folder);
    // The very folder by another name, outside of the one that was named.
    expect(await outcomeIn([{ ...mount, root: folder }])).toBe('ran');
    await rm(folder);
    await symlink('..', folder);
    expect(await outcomeIn([mount])).toBe('binding-refused');
    await rm(folder);
    await mkdir(folder);
    await givenTo(form, form.workspace);
    expect(await outcomeIn([mount])).toBe('binding-refused');
    expect(await outcomeIn([{ ...mount, identity: 'no folder' }])).toBe('binding-refused');
    await rmdir(folder);
    await rename(`${folder}.old`, folder);
    expect(await outcomeIn([mount])).toBe('ran');
    await rmdir(folder);
    for (let tries = 0; tries < 50; tries += 1) {
      await mkdir(folder);
      await givenTo(form, form.workspace);
      const again = (await folderAt(folder))!;
      expect(again).not.toEqual(identity);
      // The number of an inode is given again; the time of birth is not.
      if (again.inode === identity.inode) expect(await outcomeIn([mount])).toBe('binding-refused');
      await rmdir(folder);
      if (again.inode === identity.inode) return;
    }
  });

  it(
    'is not led out of by a link that the skill put in its way',
    verifies('folders.that-very-one'),
    async () => {
      const [outside, inner] = [join(form.home, 'other-skill'), join(form.dataDir, 'inner')];
      await mkdir(outside, { recursive: true, mode: 0o755 });
      await rm(inner, { recursive: true, force: true });
      await symlink(outside, inner);
      const below = { target: '/data/inner', mode: 'rw', root: form.dataDir } as const;
      expect(await outcomeIn([{ ...below, source: inner }])).toBe('binding-refused');
      expect(await outcomeIn([{ ...below, source: join(inner, 'made'), target: '/data/inner/made' }])).toBe(
        'binding-refused',
      );
      expect(await readdir(outside)).toEqual([]);
      await rm(inner);
      await symlink(outside, join(form.workspace, 'sub'));
      const sub = join(form.workspace, 'sub');
      expect(
        await outcomeIn([{ source: sub, target: '/workspace/sub', mode: 'r', root: form.workspace }]),
      ).toBe('binding-refused');
      await rm(sub);
      // Nor to a folder that nothing else keeps from being granted.
      const elsewhere = await mkdtemp(join(tmpdir(), 'berth-attack-'));
      onTestFinished(() => rm(elsewhere, { recursive: true, force: true }));
      await chmod(elsewhere, 0o755);
      await symlink(elsewhere, sub);
      expect(
        await outcomeIn([{ source: sub, target: '/workspace/sub', mode: 'r', root: form.workspace }]),
      ).toBe('binding-refused');
      await rm(sub);
    },
  );

  it('is no pipe, and holds none that the hub waits for', verifies('folders.no-way-out'), async () => {
    const pipe = join(form.workspace, 'pipe');
    await run('mkfifo', [pipe]);
    expect(await outcomeIn([{ source: pipe, target: '/workspace', mode: 'r' }])).toBe('binding-refused');
    expect(
      await outcomeIn([{ source: pipe, target: '/workspace/pipe', mode: 'r', root: form.workspace }]),
    ).toBe('binding-refused');
    // In a place that is held back it stays what it is.
    await rename(pipe, join(form.workspace, '.envrc'));
    await givenTo(form, form.workspace);
    expect(await outcomeIn([{ source: form.workspace, target: '/workspace', mode: 'rw' }])).toBe('ran');
    await rm(join(form.workspace, '.envrc'));
  });

  it('is refused with a link in a place that is held back', verifies('folders.held-back'), async () => {
    await symlink('elsewhere', join(form.workspace, '.claude'));
    const mount: SandboxMount = { source: form.workspace, target: '/workspace', mode: 'rw' };
    expect(await outcomeIn([mount])).toBe('binding-refused');
    expect(await outcomeIn([{ ...mount, mode: 'r' }])).toBe('ran');
    await rm(join(form.workspace, '.claude'));
    expect(await readdir(form.workspace)).toEqual([]);
  });

  it('to write in lies in no other such folder', verifies('folders.held-back'), async () => {
    const inner = join(form.workspace, 'inner');
    await mkdir(inner);
    await givenTo(form, form.workspace);
    const outer: SandboxMount = {
      source: form.workspace,
      target: '/workspace',
      mode: 'rw',
      root: form.workspace,
    };
    const other: SandboxMount = { source: inner, target: '/grants/1', mode: 'rw', root: inner };
    expect(await outcomeIn([other, outer])).toBe('binding-refused');
    expect(await outcomeIn([{ ...other, mode: 'r' }, outer])).toBe('ran');
    expect(await outcomeIn([other, { ...outer, mode: 'r' }])).toBe('ran');
    await rmdir(inner);
  });

  it(
    'holds what its grant names, and what git runs only where that is named',
    verifies('folders.held-back'),
    async () => {
      const git = join(form.workspace, '.git');
      await mkdir(join(git, 'hooks'), { recursive: true });
      await writeFile(join(git, 'config'), '');
      await givenTo(form, form.workspace);
      const attack = attackProgram(
        {
          objects: ({ fs }) => fs.mkdirSync('/workspace/.git/objects'),
          index: ({ fs }) => {
            fs.writeFileSync('/workspace/.git/index.lock', '');
            fs.renameSync('/workspace/.git/index.lock', '/workspace/.git/index');
          },
          moved: ({ fs }) => fs.renameSync('/workspace/.git', '/workspace/git-2'),
          hook: ({ fs }) => fs.writeFileSync('/workspace/.git/hooks/pre-commit', ''),
          config: ({ fs }) => {
            fs.writeFileSync('/workspace/.git/config.lock', '');
            fs.renameSync('/workspace/.git/config.lock', '/workspace/.git/config');
          },
          common: ({ fs }) => fs.writeFileSync('/workspace/.git/commondir', '../evil'),
          module: ({ fs }) => fs.mkdirSync('/workspace/.git/modules/a'),
          envrc: ({ fs }) => fs.writeFileSync('/workspace/.envrc', ''),
          vscode: ({ fs }) => fs.writeFileSync('/workspace/.vscode/tasks.json', ''),
        },
        null,
      );
      const root = form.workspace;
      const named = (path: string): SandboxMount => ({
        source: join(root, path),
        target: join('/workspace', path),
        mode: 'rw',
        root,
      });
      const answersOf = async (mounts: SandboxMount[]) => {
        const { stdout } = await form.run(await form.plan({ 'attack.mjs': attack }, { mounts }));
        const answers = JSON.parse(stdout.toString()) as Record<string, Answer>;
        return Object.fromEntries(
          Object.entries(answers).map(([title, answer]) => [
            title,
            'refused' in answer ? answer.refused : 'done',
          ]),
        );
      };
      expect(await answersOf([named(''), named('.git')])).toEqual({
        objects: 'done',
        index: 'done',
        moved: 'EBUSY',
        hook: 'EROFS',
        config: 'EBUSY',
        common: 'EROFS',
        module: 'EROFS',
        envrc: 'EISDIR',
        vscode: 'EROFS',
      });
      expect((await readdir(git)).toSorted()).toEqual(['config', 'config.lock', 'hooks', 'index', 'objects']);
      await rmdir(join(git, 'objects'));
      expect(
        await answersOf([
          named(''),
          named('.git'),
          named('.git/config'),
          named('.git/hooks'),
          named('.envrc'),
        ]),
      ).toMatchObject({
        hook: 'done',
        config: 'done',
        common: 'EROFS',
        envrc: 'done',
        vscode: 'EROFS',
      });
      await rm(git, { recursive: true });
      await rm(join(root, '.envrc'));
      expect(await readdir(root)).toEqual([]);
    },
  );

  it(
    'is read-only altogether where a plan says so, data too',
    verifies('folders.read-only-tools'),
    async () => {
      await writeFile(join(form.dataDir, 'kept'), '');
      await chown(join(form.dataDir, 'kept'), form.owner, form.owner);
      const attack = attackProgram(
        {
          workspace: ({ fs }) => fs.writeFileSync('/workspace/a', ''),
          data: ({ fs }) => fs.writeFileSync('/data/a', ''),
          remove: ({ fs }) => fs.unlinkSync('/data/kept'),
          scratch: ({ fs }) => fs.writeFileSync('/tmp/a', ''),
          seen: ({ fs }) => fs.readdirSync('/workspace'),
        },
        null,
      );
      const plan = await form.plan({ 'attack.mjs': attack }, { readOnly: true });
      const { stdout } = await form.run(plan);
      expect(JSON.parse(stdout.toString())).toEqual({
        workspace: { refused: 'EROFS' },
        data: { refused: 'EROFS' },
        remove: { refused: 'EROFS' },
        scratch: { got: null },
        seen: { got: [] },
      });
    },
  );

  it('loses its stand-ins also when the hub is killed', verifies('folders.nothing-left-behind'), async () => {
    const base = await mkdtemp(join(tmpdir(), 'berth-attack-'));
    onTestFinished(() => rm(base, { recursive: true, force: true }));
    await chmod(base, 0o755);
    const hub = await hubLike(form, base);
    const { pid } = await hub.start(
      await form.plan({ 'attack.mjs': 'process.stdin.resume(); process.stdout.write("ready")' }),
    );
    expect(await readdir(form.workspace)).toEqual(expect.arrayContaining(['.git', '.vscode', '.mcp.json']));
    hub.child.kill('SIGKILL');
    await expect.poll(() => readdir(form.workspace), { timeout: 10_000, interval: 10 }).toEqual([]);
    expect(await identityOf(pid)).toBeUndefined();
  });

  it(
    'ends a skill when what it must not write is replaced under it',
    verifies('folders.held-back'),
    async () => {
      await writeFile(join(form.workspace, '.envrc'), 'one');
      await givenTo(form, form.workspace);
      const base = await mkdtemp(join(tmpdir(), 'berth-attack-'));
      onTestFinished(() => rm(base, { recursive: true, force: true }));
      await chmod(base, 0o755);
      const hub = await hubLike(form, base);
      const waits = await form.plan({
        'attack.mjs': 'process.stdin.resume(); process.stdout.write("ready")',
      });
      const { pid } = await hub.start(waits);
      // As editors save: the name leads to another file, and the kernel takes the mount away.
      await writeFile(join(form.workspace, 'saved'), 'two');
      await rename(join(form.workspace, 'saved'), join(form.workspace, '.envrc'));
      await expect
        .poll(
          () =>
            stat(`/proc/${pid}`).then(
              () => 'there',
              () => 'gone',
            ),
          { timeout: 10_000, interval: 10 },
        )
        .toBe('gone');
      const again = await hub.start(waits);
      await rmdir(join(form.workspace, '.vscode'));
      await expect
        .poll(
          () =>
            stat(`/proc/${again.pid}`).then(
              () => 'there',
              () => 'gone',
            ),
          { timeout: 10_000, interval: 10 },
        )
        .toBe('gone');
      await expect.poll(() => readdir(form.workspace), { timeout: 10_000, interval: 10 }).toEqual(['.envrc']);
      await rm(join(form.workspace, '.envrc'));
    },
  );

  it('keeps its stand-ins for as long as one of two skills runs', verifies('folders.held-back'), async () => {
    const attack = (wait: string) => `
      import fs from 'node:fs';
      const attempt = () => { try { fs.writeFileSync('/workspace/.idea/a', ''); return 'written'; } catch (error) { return error.code; } };
      const loop = () => fs.existsSync('/data/${wait}') ? process.stdout.write(attempt()) : setTimeout(loop, 5);
      fs.writeFileSync('/data/at-${wait}', '');
      loop();`;
    await rm(join(form.dataDir, 'kept'), { force: true });
    const start = async (wait: string) => form.run(await form.plan({ 'attack.mjs': attack(wait) }));
    const [first, second] = [start('first'), start('second')];
    await expect
      .poll(() => readdir(form.dataDir), { timeout: 10_000, interval: 10 })
      .toEqual(expect.arrayContaining(['at-first', 'at-second']));
    await writeFile(join(form.dataDir, 'first'), '');
    expect((await first).stdout.toString()).toBe('EROFS');
    expect(await readdir(form.workspace)).toContain('.idea');
    await writeFile(join(form.dataDir, 'second'), '');
    expect((await second).stdout.toString()).toBe('EROFS');
    expect(await readdir(form.workspace)).toEqual([]);
  });
});
