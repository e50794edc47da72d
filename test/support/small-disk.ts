/**
 * The command with a file system of this size at the folder, in a mount namespace of its own, so that it works without
 * being root and nothing is left mounted. Whoever is not root is root for mounting alone.
 */
export function onSmallDisk(command: string[], folder: string, bytes: number): string[] {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()];
  const asRoot = uid === 0 ? [] : ['--map-root-user'];
  const asBefore = uid === 0 ? '' : `unshare --user --map-user=${uid} --map-group=${gid} --`;
  const script = `mount -t tmpfs -o size=${bytes} tmpfs "$0" && exec ${asBefore} "$@"`;
  return ['unshare', ...asRoot, '--mount', '--', 'sh', '-c', script, folder, ...command];
}
