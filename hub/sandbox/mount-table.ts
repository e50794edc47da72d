/** One mount as the kernel lists it (proc_pid_mountinfo(5)). */
export interface Mount {
  id: string;
  /** The mount that it lies on. */
  parent: string;
  /** Of its file system: `major:minor`. */
  device: string;
  /** What of its file system is mounted. */
  root: string;
  /** Where. */
  point: string;
  options: ReadonlySet<string>;
  type: string;
}

/** Where a folder really lies, by whatever name it is reached: bind mounts make many names of one place. */
export interface Place {
  device: string;
  /** Inside the file system. */
  path: string;
}

/** Reads `/proc/<pid>/mountinfo`. Lines that are not as documented are left out; nothing is found there then. */
export function parseMountTable(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [id, parent, device, root, point, options] = before.split(' ');
    const [type] = after.split(' ');
    if (id === undefined || parent === undefined || device === undefined || root === undefined) return [];
    if (point === undefined || options === undefined || type === undefined) return [];
    return [
      {
        id,
        parent,
        device,
        root: unescaped(root),
        point: unescaped(point),
        options: new Set(options.split(',')),
        type,
      },
    ];
  });
}

/** Blanks and backslashes are written as three octal digits. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  return Buffer.from(
    text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
      // As one byte each: a name is bytes, and only these few are escaped.
      String.fromCharCode(Number.parseInt(digits, 8)),
    ),
  ).toString();
}

/** The mount that a path leads to: of several at one point the last, and none that another one hides. */
export function mountOf(table: readonly Mount[], path: string): Mount | undefined {
  const ids = new Set(table.map(({ id }) => id));
  let found: Mount | undefined;
  let next = table.find(({ point, parent, id }) => point === '/' && (!ids.has(parent) || parent === id));
  while (next !== undefined) {
    found = next;
    const { id, point } = found;
    const on = table.filter(
      (mount) =>
        mount.parent === id && mount.id !== id && isWithin(mount.point, point) && isWithin(path, mount.point),
    );
    // The one furthest up hides those below it that lie on the same mount.
    next = on.reduce<Mount | undefined>(
      (first, mount) => (first === undefined || mount.point.length < first.point.length ? mount : first),
      undefined,
    );
  }
  return found;
}

/** Where a path really lies; undefined only where there is no table. The path is a real one, without links. */
export function placeOf(table: readonly Mount[], path: string): Place | undefined {
  const mount = mountOf(table, path);
  if (mount === undefined) return undefined;
  const below = path.slice(mount.point === '/' ? 0 : mount.point.length);
  return { device: mount.device, path: joined(mount.root, below) };
}

/** Every mount that is seen below a path. */
export function mountsBelow(table: readonly Mount[], path: string): Mount[] {
  return table.filter(
    (mount) => mount.point !== path && isWithin(mount.point, path) && mountOf(table, mount.point) === mount,
  );
}

/** All places that a folder shows: its own, and those that are mounted in it. */
export function placesIn(table: readonly Mount[], path: string): Place[] {
  const own = placeOf(table, path);
  const below = mountsBelow(table, path).map(({ device, root }) => ({ device, path: root }));
  return own === undefined ? below : [own, ...below];
}

/** Whether one place lies in the other, or is it. */
export function liesIn(one: Place, other: Place): boolean {
  return one.device === other.device && isWithin(one.path, other.path);
}

/** Whether a path is a folder, or lies in it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

function joined(root: string, below: string): string {
  if (below === '' || below === '/') return root;
  return root === '/' ? below : root + below;
}
