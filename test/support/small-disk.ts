/**
 * The command with a file system of this size at the folder, in a mount namespace of its own, so that it works
 * without being root and nothing is left mounted.
 */
export function onSmallDisk(command: string[], folder: string, bytes: number): string[] {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const script = `mount -t tmpfs -o size=${bytes} tmpfs "$0" && exec "$@"`;
  return ['unshare', ...asRoot, '--mount', '--', 'sh', '-c', script, folder, ...command];
}
