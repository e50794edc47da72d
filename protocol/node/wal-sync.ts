import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/** Puts on disk what was written to a file; rejects when the disk did not take it. */
export type SyncFile = (descriptor: number) => Promise<void>;

/** What SQLite's own wait for the disk does, without a thread that waits. */
export interface WalSync {
  /** Resolves once every commit made so far is on disk. @throws whatever the disk said, from then on always. */
  sync(): Promise<void>;
  /** @throws what `sync` has failed with. */
  refuseAfterFailure(): void;
  close(): void;
}

/**
 * Waits for a database's write-ahead log, in which a commit lies whole once its bytes are on disk
 * (https://sqlite.org/wal.html#fast). SQLite keeps its locks on the other two files, so that a descriptor of this one
 * may come and go.
 */
export function walSync(path: string, syncFile: SyncFile = promisify(fdatasync)): WalSync {
  let descriptor: number | undefined;
  let failure: unknown;

  function refuseAfterFailure(): void {
    if (failure !== undefined) throw failure;
  }

  function opened(): number {
    if (descriptor !== undefined) return descriptor;
    descriptor = openSync(`${path}-wal`, 'r');
    // A new file is found again after a power cut only if its folder is on disk, too.
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
    return descriptor;
  }

  return {
    async sync() {
      try {
        if (failure === undefined) await syncFile(opened());
      } catch (error) {
        // Linux tells of a lost write once, and forgets it: nothing written later can make up for it.
        failure = error;
      }
      refuseAfterFailure();
    },
    refuseAfterFailure,
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
