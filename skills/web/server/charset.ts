const DECLARED = /charset\s*=\s*["']?\s*([\w.:-]{1,40})/i;
/** How far into a page its own word about its encoding may stand (HTML §4.2.5.4). */
const META_BYTES = 1024;
/** What browsers take Western pages for that say nothing. */
const FALLBACK = 'windows-1252';

/**
 * The text of bytes, in the encoding of the byte order mark, the server's word or the page's own, in this order. A word
 * that the bytes contradict is not believed: UTF-8 is the one encoding that shows.
 */
export function decodeText(
  bytes: Uint8Array,
  contentType: string,
): { text: string; notes: readonly string[] } {
  const marked = byteOrderMark(bytes);
  if (marked !== undefined) return { text: new TextDecoder(marked).decode(bytes), notes: [] };
  const server = known(DECLARED.exec(contentType)?.[1]);
  const page = known(DECLARED.exec(latin1(bytes.subarray(0, META_BYTES)))?.[1]);
  const said = server ?? page;
  const utf8 = asUtf8(bytes);
  if (said === undefined || said === 'utf-8') {
    if (utf8 !== undefined) return { text: utf8, notes: [] };
    const other = page !== undefined && page !== 'utf-8' ? page : FALLBACK;
    const notes =
      said === undefined ? [] : [`It is not the UTF-8 that it is said to be; it was read as ${other}.`];
    return { text: new TextDecoder(other).decode(bytes), notes };
  }
  // Half of all wrong words are a server's old default over a page in UTF-8.
  if (utf8 !== undefined && !said.startsWith('utf-16') && !said.startsWith('iso-2022'))
    return { text: utf8, notes: [] };
  return { text: new TextDecoder(said).decode(bytes), notes: [] };
}

/** Whether bytes can be text in one of the encodings that are read here. */
export function isText(bytes: Uint8Array): boolean {
  const marked = byteOrderMark(bytes);
  if (marked !== undefined && marked !== 'utf-8') return true;
  return !bytes.subarray(0, 8192).includes(0);
}

function byteOrderMark(bytes: Uint8Array): string | undefined {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  return a === 0xfe && b === 0xff ? 'utf-16be' : undefined;
}

/** By its standard name; undefined for what is not an encoding of the Web. */
function known(label: string | undefined): string | undefined {
  try {
    return label === undefined ? undefined : new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}

function asUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
