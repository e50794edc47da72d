/**
 * What git is told about its world, so that nothing which a repository brings is ever run. A repository is somebody
 * else's data, its configuration included: hooks, filters, pagers, editors, monitors, signers, external diffs,
 * helpers and transports are programs that it names.
 *
 * These settings win over the repository's own, for they count as given on the command line. What takes an option
 * instead is with the commands (`DIFF_OPTIONS`); filters have names, so they are switched off one by one.
 */
const SETTINGS: readonly (readonly [key: string, value: string])[] = [
  // Programs that git starts by itself.
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.pager', 'cat'],
  ['core.editor', 'false'],
  ['core.askPass', 'false'],
  ['core.sshCommand', 'false'],
  ['core.gitProxy', 'false'],
  ['core.alternateRefsCommand', 'false'],
  ['gpg.program', 'false'],
  ['gpg.openpgp.program', 'false'],
  ['gpg.ssh.program', 'false'],
  ['gpg.x509.program', 'false'],
  ['log.showSignature', 'false'],
  ['commit.gpgSign', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  // Objects that are missing are not fetched, from nowhere and by nothing.
  ['protocol.allow', 'never'],
  // A submodule is a repository of its own, with a configuration that none of this reaches.
  ['submodule.recurse', 'false'],
  ['diff.submodule', 'short'],
  // Of no interest to GIT_OPTIONAL_LOCKS: what only looks changed is compared each time, and not noted.
  ['diff.autoRefreshIndex', 'false'],
  ['diff.ignoreSubmodules', 'dirty'],
  ['status.submoduleSummary', 'false'],
  // Threads count as processes of the skill.
  ['core.preloadIndex', 'false'],
  ['index.threads', '1'],
  // What is answered looks the same whatever somebody prefers.
  ['core.untrackedCache', 'false'],
  ['color.ui', 'false'],
  ['core.quotePath', 'false'],
  ['diff.noprefix', 'false'],
  ['diff.mnemonicPrefix', 'false'],
  ['log.follow', 'false'],
  ['log.decorate', 'false'],
  ['blame.ignoreRevsFile', ''],
  ['i18n.commitEncoding', 'UTF-8'],
  ['i18n.logOutputEncoding', 'UTF-8'],
];

/** Options of every command that compares: no program and no conversion that the repository names. */
export const DIFF_OPTIONS = [
  '--no-ext-diff',
  '--no-textconv',
  '--no-color',
  '--ignore-submodules=dirty',
  '--submodule=short',
  '-O/dev/null',
  '--src-prefix=a/',
  '--dst-prefix=b/',
];

const NOWHERE = '/nonexistent';

/** The whole environment of git for one repository; `filters` are those that its configuration names. */
export function gitEnvironment({
  root,
  path,
  filters,
}: {
  root: string;
  path: string;
  filters: readonly string[];
}): Record<string, string> {
  const settings = [
    ...SETTINGS,
    ...filters.flatMap((name) => [
      [`filter.${name}.clean`, ''] as const,
      [`filter.${name}.smudge`, ''] as const,
      [`filter.${name}.process`, ''] as const,
      [`filter.${name}.required`, 'false'] as const,
    ]),
  ];
  return {
    PATH: path,
    HOME: NOWHERE,
    XDG_CONFIG_HOME: NOWHERE,
    LC_ALL: 'C.UTF-8',
    // Named, so that it is neither looked for above nor put elsewhere by its configuration.
    GIT_DIR: `${root}/.git`,
    GIT_WORK_TREE: root,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_EDITOR: 'false',
    GIT_PAGER: 'cat',
    GIT_NO_LAZY_FETCH: '1',
    GIT_ALLOW_PROTOCOL: 'none',
    // Looking changes nothing, not even the index.
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], at) => [
        [`GIT_CONFIG_KEY_${at}`, key],
        [`GIT_CONFIG_VALUE_${at}`, value],
      ]),
    ),
  };
}
