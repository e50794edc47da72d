import type { Rate } from './bucket.ts';

/** What one session may have and do. Enough for a busy skill with pools of connections; not enough to tire the hub. */
export const MOST_CONNECTIONS = 256;
export const NEW_CONNECTIONS: Rate = { perSecond: 50, atOnce: 250 };
/** Both ways together. Above it a connection is read more slowly; nothing is lost. */
export const BYTES: Rate = { perSecond: 64 * 1024 * 1024, atOnce: 4 * 1024 * 1024 * 1024 };
export const QUERIES: Rate = { perSecond: 200, atOnce: 1000 };
/**
 * What is refused for its number costs the hub time still. Who goes on like that is cut off, since only a listener that is
 * gone costs nothing.
 */
export const REFUSED_FOR_NUMBER: Rate = { perSecond: 50, atOnce: 5000 };

/** Names that a session may ask for, each with an address of its own; of one wildcard fewer, as each may be looked up. */
export const MOST_NAMES = 4096;
export const MOST_NAMES_OF_WILDCARD = 1024;

/** From the first byte taken to the end of a ClientHello, or of the first head of a request. */
export const HELLO_MS = 10_000;
export const LOOKUP_MS = 10_000;
export const DIAL_MS = 10_000;
/** After which a connection is cut over which nothing went, whether it was paused or had nothing to say. */
export const IDLE_MS = 15 * 60_000;

/** Connections for questions of names at once; how long one is kept without a question. */
export const MOST_DNS_CONNECTIONS = 16;
export const DNS_IDLE_MS = 10_000;

/** Look-ups that wait for an answer: of one session, and of all. Node answers them, and reads files, with four threads. */
export const LOOKUPS_OF_SESSION = 1;
export const LOOKUPS_OF_HUB = 3;
/** How many addresses of a name are dialled at most. */
export const MOST_ADDRESSES = 16;

/** How long equal refusals are counted before they are told of again, and how many different ones are told of in that time. */
export const COUNTING_MS = 60_000;
export const MOST_TOLD = 64;
