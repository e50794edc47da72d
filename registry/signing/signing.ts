import { treeHeadBytes } from '../../protocol/log.ts';
import { signBytes, type SigningKey } from '../../protocol/node/keys.ts';
import { signReceipt, type PublicKeyRecord, type Receipt } from '../../protocol/provenance.ts';

/** The registry's own signature, under its receipts and the heads of its log. */
export interface RegistrySigner {
  /** Name of the log, first line of each tree head. */
  readonly origin: string;
  readonly record: PublicKeyRecord;
  /** base64 over `treeHeadBytes`. */
  treeHead(head: { size: number; root: Uint8Array }): string;
  receipt(unsigned: Omit<Receipt, 'keyId' | 'signature'>): Receipt;
}

/** Signs with a key in this process. */
export function keySigner(key: SigningKey, origin: string): RegistrySigner {
  return {
    origin,
    record: key.record,
    treeHead: (head) => signBytes(key, treeHeadBytes({ origin, ...head })).toString('base64'),
    receipt: (unsigned) => signReceipt(unsigned, key.privateKey),
  };
}
