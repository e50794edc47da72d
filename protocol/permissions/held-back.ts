/**
 * What a grant to write in a folder does not hold: files that other programs run by themselves, as soon as
 * somebody opens the folder, changes into it, or uses git in it. Who writes there acts later, outside of any
 * sandbox, as the person whose folder it is. A grant that names such a place holds it.
 *
 * The list is closed, and one question decides what is on it: does a program of the host act on it before
 * anybody asks for that? What a build, a test or an editor does on command (`package.json`, `Makefile`,
 * `.npmrc`) is the content of a project, which a skill with a grant to write is there to change.
 */
export interface HeldBackPlace {
  /** One name below the granted folder, or two where the first is a place itself. */
  readonly path: readonly string[];
  /** Which program acts on it. */
  readonly because: string;
  /**
   * What stands there while a skill runs where nothing was: an empty folder, or a file that says what its
   * absence says. It keeps the place from being made.
   */
  readonly standIn: 'folder' | { readonly content: string };
}

const place = (
  path: string,
  because: string,
  standIn: HeldBackPlace['standIn'] = 'folder',
): HeldBackPlace => ({
  path: path.split('/'),
  because,
  standIn,
});

/**
 * Places as one name each, so that nothing above them can be renamed away. `.git` and `.github` are held
 * whole: beside hooks and config, git finds commands by way of `commondir`, `modules`, `worktrees` and the
 * to-do list of a rebase, and workflows run actions that lie beside them.
 *
 * Who is granted `.git` gets what git itself writes there; what names commands stays held back. `commondir`
 * as "." is the repository itself, and an empty `config.worktree` sets nothing (gitrepository-layout(5)).
 */
export const HELD_BACK: readonly HeldBackPlace[] = [
  place('.git', 'git'),
  place('.git/hooks', 'git'),
  place('.git/config', 'git', { content: '' }),
  place('.git/config.worktree', 'git', { content: '' }),
  place('.git/commondir', 'git', { content: '.\n' }),
  place('.git/modules', 'git'),
  place('.git/worktrees', 'git'),
  place('.github', 'GitHub'),
  place('.husky', 'git, by way of husky'),
  place('.vscode', 'VS Code'),
  place('.idea', 'JetBrains IDEs'),
  place('.devcontainer', 'editors that open dev containers'),
  place('.envrc', 'direnv'),
  place('.mcp.json', 'MCP clients'),
  place('.claude', 'Claude Code'),
  place('.cursor', 'Cursor'),
];

/**
 * What a grant to write in this folder, given as its segments, leaves out, as paths below it. A folder that
 * is itself such a place holds what the place holds: `.git` all but the places in it, `.vscode` all of it.
 */
export function heldBackIn(folder: readonly string[]): { below: readonly string[]; place: HeldBackPlace }[] {
  const rests = HELD_BACK.flatMap((held) => {
    const depth = held.path.length - 1;
    return depth > 0 && endsWith(folder, held.path.slice(0, depth))
      ? [{ below: held.path.slice(depth), place: held }]
      : [];
  });
  if (rests.length > 0 || HELD_BACK.some(({ path }) => endsWith(folder, path))) return rests;
  return HELD_BACK.filter(({ path }) => path.length === 1).map((held) => ({ below: held.path, place: held }));
}

/**
 * Whether a grant to write on the path `grant` leaves out the path `asked` below it, both as segments. It
 * does where a place of the list begins below the one and reaches down to the other. By name a place counts
 * at any depth, so that "covers" stays an order; what is mounted read-only are those at the top of a grant.
 */
export function leavesOut(grant: readonly string[], asked: readonly string[]): boolean {
  for (let end = grant.length + 1; end <= asked.length; end += 1) {
    if (HELD_BACK.some(({ path }) => endsWith(asked.slice(0, end), path))) return true;
  }
  return false;
}

function startsWith(segments: readonly string[], start: readonly string[]): boolean {
  return start.every((segment, index) => segments[index] === segment);
}

function endsWith(segments: readonly string[], end: readonly string[]): boolean {
  return end.length <= segments.length && startsWith(segments.slice(segments.length - end.length), end);
}
