/**
 * The command with a file system of this size at the folder, in a mount namespace of its own, so that it works without
 * being root and nothing is left mounted. Whoever is not root is root for mounting alone.
 */
export function onSmallDisk(command: string[], folder: string, bytes: number): string[] {
  return withMount(command, `mount -t tmpfs -o size=${bytes} tmpfs "$0"`, folder);
}

/** The command where this file says which names lead where: as its machine's `/etc/hosts`, and for it alone. */
export function withHosts(command: string[], file: string): string[] {
  return withMount(command, 'mount --bind "$0" /etc/hosts', file);
}

function withMount(command: string[], mount: string, argument: string): string[] {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()];
  const asRoot = uid === 0 ? [] : ['--map-root-user'];
  const asBefore = uid === 0 ? '' : `unshare --user --map-user=${uid} --map-group=${gid} --`;
  const script = `${mount} && exec ${asBefore} "$@"`;
  return ['unshare', ...asRoot, '--mount', '--', 'sh', '-c', script, argument, ...command];
}
