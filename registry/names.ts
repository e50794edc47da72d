import type { PublicKeyRecord } from '../protocol/provenance.ts';
import { AppError } from '../protocol/errors.ts';
import { changeEntry } from '../protocol/log.ts';
import { appendEntry } from './log/log.ts';
import type { RegistrySigner } from './signing/signing.ts';
import type { Change, NamespaceKey, Questions, Store } from './store/store.ts';

/** Who calls: a token and what it may do. */
export interface Caller {
  tokenId: string;
  name: string;
  admin: boolean;
  /** Namespaces and patterns in which it may publish; an admin may everywhere. */
  namespaces: readonly string[];
}

/** The registry itself, where it acts for its owner at start. */
export const OWNER: Caller = { tokenId: 'owner', name: 'owner', admin: true, namespaces: [] };

/** A namespace and every pattern that covers it: `local.a.b`, `local.a.*`, `local.*`. */
export function coveringPatterns(namespace: string): string[] {
  const labels = namespace.split('.');
  const above = labels
    .slice(1)
    .map((_label, index) => `${labels.slice(0, labels.length - 1 - index).join('.')}.*`);
  return [...new Set([namespace, ...above])];
}

/** True when the caller may publish, yank and deprecate in a namespace. */
export function mayPublish({ admin, namespaces }: Caller, namespace: string): boolean {
  return admin || coveringPatterns(namespace).some((pattern) => namespaces.includes(pattern));
}

/** Fails with `namespace-not-yours` unless the caller may publish there. */
export function requirePublisher(caller: Caller, namespace: string): void {
  if (mayPublish(caller, namespace)) return;
  throw new AppError('namespace-not-yours', {
    detail: `The token ${caller.name} may not publish in ${namespace}.`,
    hint: 'Ask the admin of the registry for a token with this namespace.',
  });
}

/** Fails with `forbidden` unless the caller is an admin. */
export function requireAdmin(caller: Caller): void {
  if (caller.admin) return;
  throw new AppError('forbidden', { detail: `This needs an admin token; ${caller.name} is none.` });
}

/**
 * The keys that count for a namespace, its own and those of patterns, each once. A key that is
 * retired in one of these places is retired here.
 */
export async function keysFor(
  questions: Pick<Questions, 'keysOf'>,
  namespace: string,
): Promise<PublicKeyRecord[]> {
  const byId = new Map<string, PublicKeyRecord>();
  for (const { record } of await questions.keysOf(namespace)) {
    if (byId.get(record.keyId)?.retiredAt === undefined) byId.set(record.keyId, record);
  }
  return [...byId.values()];
}

interface NameDeps {
  store: Pick<Store, 'change'>;
  signer: RegistrySigner;
  clock: () => Date;
}

/**
 * Adds a key: the first one of a namespace by whoever may publish there, which claims the namespace;
 * a further one, or one for a pattern, by an admin. The same key again is no change.
 */
export async function addKey(
  { store, signer, clock }: NameDeps,
  caller: Caller,
  { namespace, record }: NamespaceKey,
): Promise<PublicKeyRecord[]> {
  requirePublisher(caller, namespace);
  const time = clock().toISOString();
  return store.change(async (change) => {
    const known = await change.keysOf(namespace);
    const same = known.find((key) => key.namespace === namespace && key.record.keyId === record.keyId);
    if (same?.record.retiredAt !== undefined) {
      throw new AppError('key-retired', {
        detail: `The key ${record.keyId} was retired at ${same.record.retiredAt}.`,
      });
    }
    if (same === undefined) {
      if (known.length > 0 || namespace.endsWith('.*')) requireAdmin(caller);
      await claimNamespace({ signer }, change, caller, { namespace, time, signer: `key:${record.keyId}` });
      const { keyId, publicKey } = record;
      const entry = changeEntry({ kind: 'key-added', time, by: byOf(caller), namespace, keyId, publicKey });
      await appendEntry({ signer }, change, { kind: 'key-added', entry, time });
      await change.addKey({ namespace, record }, time, caller.tokenId);
      await change.audit({
        time,
        byToken: caller.tokenId,
        action: 'key-added',
        subject: `${namespace} ${keyId}`,
      });
    }
    return keysFor(change, namespace);
  });
}

/** Retires a key of exactly this namespace or pattern, for good. Whoever may publish there may do so. */
export async function retireKey(
  { store, signer, clock }: NameDeps,
  caller: Caller,
  { namespace, keyId }: { namespace: string; keyId: string },
): Promise<PublicKeyRecord[]> {
  requirePublisher(caller, namespace);
  const time = clock().toISOString();
  return store.change(async (change) => {
    const known = await change.keysOf(namespace);
    const record = known.find((key) => key.namespace === namespace && key.record.keyId === keyId)?.record;
    if (record === undefined) {
      throw new AppError('key-not-found', { detail: `${namespace} has no key ${keyId} of its own.` });
    }
    if (record.retiredAt === undefined) {
      const { publicKey } = record;
      const entry = changeEntry({ kind: 'key-retired', time, by: byOf(caller), namespace, keyId, publicKey });
      await appendEntry({ signer }, change, { kind: 'key-retired', entry, time });
      await change.retireKey(namespace, keyId, time);
      await change.audit({
        time,
        byToken: caller.tokenId,
        action: 'key-retired',
        subject: `${namespace} ${keyId}`,
      });
    }
    return keysFor(change, namespace);
  });
}

/** Takes a namespace into use, with its log entry; nothing when it is in use. A pattern claims nothing. */
export async function claimNamespace(
  deps: { signer: RegistrySigner },
  change: Change,
  caller: Caller,
  { namespace, time, signer }: { namespace: string; time: string; signer: string },
): Promise<void> {
  if (namespace.endsWith('.*') || !(await change.claimNamespace(namespace, time, caller.tokenId))) return;
  const entry = changeEntry({ kind: 'namespace-claimed', time, by: byOf(caller), namespace, signer });
  await appendEntry(deps, change, { kind: 'namespace-claimed', entry, time });
}

/** How the public log names a caller: by the token's id, which says nothing else about anybody. */
export function byOf({ tokenId }: Caller): string {
  return `token:${tokenId}`;
}
