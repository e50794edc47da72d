import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { ownerKey } from './changes.ts';
import type { Principal, Scope } from './gateway.ts';

type Entry = Record<string, unknown>;
type Entries = readonly Entry[];

/** How long a page of a list is at most; an entry longer than that is a page by itself. */
export interface PageLimits {
  pageEntries: number;
  /** Of JSON, in bytes. */
  pageBytes: number;
}

/** Which page of which list somebody wants. */
export interface PageAsked<Of extends Entry = Entry> {
  principal: Principal;
  scope: Scope;
  /** Such as `tools/list`. */
  method: string;
  /** The whole list, as it is now. */
  entries: readonly Of[];
  /** Absent for the first page. */
  cursor: string | undefined;
}

export interface Page<Of extends Entry = Entry> {
  index: number;
  entries: readonly Of[];
  /** Absent on the last page. */
  nextCursor?: string;
}

/**
 * Cuts lists into pages (MCP, server/utilities/pagination). A cursor is signed for one client at one door and for one
 * list as it was: so pages that follow one another are of one list, which nothing is lost from and nothing is twice in.
 */
export interface Pages {
  /** Undefined for a cursor that was altered, is of another client, door or list, or of this one before it changed. */
  find<Of extends Entry>(asked: PageAsked<Of>): Page<Of> | undefined;
}

/** A list with what is made of it once; lists of a view are replaced and never altered. */
interface Cut {
  pages: readonly Entries[];
  /** Digest of the whole. */
  version(): string;
}

const INDEX_BYTES = 4;
const MAC_BYTES = 32;

/** Whoever has the same key takes the same cursors. */
export function createPages({ pageEntries, pageBytes }: PageLimits, key: Uint8Array): Pages {
  const known = new WeakMap<Entries, Cut>();

  function cutOf(entries: Entries): Cut {
    const before = known.get(entries);
    if (before !== undefined) return before;
    let version: string | undefined;
    const cut: Cut = {
      pages: cutBefore(starts(entries, { pageEntries, pageBytes }), entries),
      version: () => (version ??= createHash('sha256').update(JSON.stringify(entries)).digest('base64')),
    };
    known.set(entries, cut);
    return cut;
  }

  function cursorTo(index: number, { principal, scope, method }: PageAsked, cut: Cut): string {
    const about = JSON.stringify([ownerKey(principal, scope), method, cut.version(), index]);
    const head = Buffer.alloc(INDEX_BYTES);
    head.writeUInt32BE(index);
    return Buffer.concat([head, createHmac('sha256', key).update(about).digest()]).toString('base64url');
  }

  return {
    find<Of extends Entry>(asked: PageAsked<Of>): Page<Of> | undefined {
      const { entries, cursor } = asked;
      const cut = cutOf(entries);
      const index = cursor === undefined ? 0 : indexIn(cursor);
      if (index === undefined) return undefined;
      if (cursor !== undefined && !equal(cursor, cursorTo(index, asked, cut))) return undefined;
      const page = cut.pages[index] as readonly Of[] | undefined;
      if (page === undefined) return undefined;
      const isLast = index === cut.pages.length - 1;
      return { index, entries: page, ...(isLast ? {} : { nextCursor: cursorTo(index + 1, asked, cut) }) };
    },
  };
}

/** Where in a list pages after the first begin. */
function starts(entries: Entries, { pageEntries, pageBytes }: PageLimits): number[] {
  const found: number[] = [];
  let first = 0;
  let bytes = 0;
  for (const [at, entry] of entries.entries()) {
    const more = Buffer.byteLength(JSON.stringify(entry));
    if (at > first && (at - first === pageEntries || bytes + more > pageBytes)) {
      found.push(at);
      first = at;
      bytes = 0;
    }
    bytes += more;
  }
  return found;
}

/** An empty list has a page, too; a list of one page is that page itself. */
function cutBefore(places: readonly number[], entries: Entries): Entries[] {
  if (places.length === 0) return [entries];
  return [0, ...places].map((from, page) => entries.slice(from, places[page]));
}

function indexIn(cursor: string): number | undefined {
  const bytes = Buffer.from(cursor, 'base64url');
  return bytes.length === INDEX_BYTES + MAC_BYTES ? bytes.readUInt32BE() : undefined;
}

function equal(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
