import { AppError } from '../../protocol/errors.ts';
import {
  appendLeaf,
  EMPTY_FRONTIER,
  leafHash,
  rootOf,
  rootOfLeaves,
  treeHeadBytes,
} from '../../protocol/log.ts';
import type { RegistrySigner } from '../signing/signing.ts';
import type { Change, Store } from '../store/store.ts';

/** Where an entry stands in the log. */
export interface LogPosition {
  logIndex: number;
  /** Size and root (hexadecimal) of the log just after it. */
  treeSize: number;
  rootHash: string;
}

/** Adds an entry and the signed head of the longer log, as part of a change. */
export async function appendEntry(
  { signer }: { signer: RegistrySigner },
  change: Change,
  { kind, entry, time }: { kind: string; entry: Buffer; time: string },
): Promise<LogPosition> {
  const before = (await change.treeHead())?.frontier ?? EMPTY_FRONTIER;
  const hash = leafHash(entry);
  const frontier = appendLeaf(before, hash);
  const rootHash = rootOf(frontier);
  const signature = signer.treeHead({ size: frontier.size, root: rootHash });
  await change.appendToLog({ kind, entry, leafHash: hash }, { frontier, rootHash, time, signature });
  return { logIndex: before.size, treeSize: frontier.size, rootHash: rootHash.toString('hex') };
}

/**
 * Recomputes the log from its entries and compares it with the signed head; `data-damaged` when
 * they differ. Reads every entry.
 */
export async function verifyLog(
  store: Pick<Store, 'logLeaves' | 'treeHead'>,
  verifyHead: (bytes: Buffer, signature: string) => boolean,
  origin: string,
): Promise<{ size: number; rootHash: string }> {
  const hashes: Buffer[] = [];
  for await (const leaf of store.logLeaves()) {
    const hash = leafHash(leaf.entry);
    if (!hash.equals(leaf.leafHash)) throw damaged(`Entry ${hashes.length} of the log has been altered.`);
    hashes.push(hash);
  }
  const root = rootOfLeaves(hashes);
  const head = await store.treeHead();
  const size = head?.frontier.size ?? 0;
  if (size !== hashes.length || (head !== undefined && !root.equals(head.rootHash))) {
    throw damaged('The entries of the log do not add up to its signed head.');
  }
  if (head !== undefined && !verifyHead(treeHeadBytes({ origin, size, root }), head.signature)) {
    throw damaged('The head of the log is not signed by this registry.');
  }
  return { size, rootHash: root.toString('hex') };
}

function damaged(detail: string): AppError {
  return new AppError('data-damaged', { detail, hint: 'Compare with a backup of the database.' });
}
