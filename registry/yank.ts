import { changeEntry, type Change as LogChange } from '../protocol/log.ts';
import { splitName } from '../protocol/manifest.ts';
import { purlOf } from '../protocol/provenance.ts';
import { showLatest } from './latest.ts';
import { appendEntry } from './log/log.ts';
import { byOf, requirePublisher, type Caller } from './names.ts';
import { versionNotFound } from './resolve.ts';
import type { RegistrySigner } from './signing/signing.ts';
import type { Standing, Store } from './store/store.ts';

export interface StandingDeps {
  store: Pick<Store, 'change'>;
  signer: RegistrySigner;
  clock: () => Date;
}

interface Which {
  name: string;
  version: string;
}

export type StandingReply = Which & Standing;

/** Takes a version out of resolution; it can still be had by its exact number. Again is no change. */
export function yank(
  deps: StandingDeps,
  caller: Caller,
  which: Which & { reason: string },
): Promise<StandingReply> {
  const { reason } = which;
  return changeStanding(deps, caller, which, (before) => {
    if (before.yanked) return undefined;
    const entry = { kind: 'yank' as const, ...(reason === '' ? {} : { reason }) };
    return { entry, after: { ...before, yanked: true, yankReason: reason === '' ? null : reason } };
  });
}

/** Puts a yanked version back into resolution. */
export function unyank(deps: StandingDeps, caller: Caller, which: Which): Promise<StandingReply> {
  return changeStanding(deps, caller, which, (before) =>
    before.yanked
      ? { entry: { kind: 'unyank' as const }, after: { ...before, yanked: false, yankReason: null } }
      : undefined,
  );
}

/** Warns about a version, or takes the warning back where the message is `null`. */
export function deprecate(
  deps: StandingDeps,
  caller: Caller,
  which: Which & { message: string | null },
): Promise<StandingReply> {
  const { message } = which;
  return changeStanding(deps, caller, which, (before) => {
    if (before.deprecated === message) return undefined;
    // In the log, an empty message takes the warning back.
    const entry = { kind: 'deprecate' as const, message: message ?? '' };
    return { entry, after: { ...before, deprecated: message } };
  });
}

/** A log entry without what every entry has. */
type EntryOf<Change extends LogChange> = Change extends { purl: string }
  ? Omit<Change, 'time' | 'by' | 'purl'>
  : never;
type Decide = (before: Standing) => { entry: EntryOf<LogChange>; after: Standing } | undefined;

async function changeStanding(
  { store, signer, clock }: StandingDeps,
  caller: Caller,
  { name, version }: Which,
  decide: Decide,
): Promise<StandingReply> {
  requirePublisher(caller, splitName(name).namespace);
  const time = clock().toISOString();
  return store.change(async (change) => {
    const record = await change.version(name, version);
    if (record === undefined) throw versionNotFound(name, version);
    const { yanked, yankReason, deprecated } = record;
    const before: Standing = { yanked, yankReason, deprecated };
    const decided = decide(before);
    if (decided === undefined) return { name, version, ...before };
    const purl = purlOf(name, version);
    const entry = changeEntry({ ...decided.entry, time, by: byOf(caller), purl });
    await appendEntry({ signer }, change, { kind: decided.entry.kind, entry, time });
    await change.setStanding(name, version, decided.after, time);
    await showLatest(change, name, time);
    await change.audit({ time, byToken: caller.tokenId, action: decided.entry.kind, subject: purl });
    return { name, version, ...decided.after };
  });
}
