import { decodeText, isText } from './charset.ts';
import { clean, fenced } from './clean.ts';
import { readHtml } from './html.ts';
import { Refusal } from './refusal.ts';
import type { Job, Reading } from './requests.ts';

/** Of a document, whoever asks for parts of it. */
const MOST_CHARS = 2_000_000;
const HTML = /^(?:text\/html|application\/xhtml\+xml)$/;
const CODE = /^(?:application|text)\/(?:[\w.+-]*\+)?(?:json|xml|yaml|javascript|css)$/;

/** A document of whatever type its server says, as far as its bytes agree, as bounded Markdown. */
export async function readDocument({
  bytes,
  contentType,
  url,
  mode,
}: Extract<Job, { kind: 'page' }>): Promise<Reading> {
  return bounded(await read(bytes, contentType, url, mode));
}

async function read(
  bytes: Uint8Array,
  contentType: string,
  url: string,
  mode: Extract<Job, { kind: 'page' }>['mode'],
): Promise<Reading> {
  const type = contentType.split(';', 1)[0]?.trim() ?? '';
  if (isPdf(bytes)) {
    const { readPdf } = await import('./pdf.ts');
    return readPdf(bytes);
  }
  if (type === 'application/pdf') throw new Refusal('Its server calls it a PDF, and it is none.');
  if (!isText(bytes))
    throw new Refusal(`It is neither text nor a PDF (${type === '' ? 'no type given' : type}).`);
  const { text, notes } = decodeText(bytes, contentType);
  if (HTML.test(type) || (type === '' && /^\s*<(?:!doctype html|html)\b/i.test(text))) {
    const reading = readHtml(text, new URL(url), mode);
    return { ...reading, notes: [...notes, ...reading.notes] };
  }
  const plain = type === '' || type === 'application/octet-stream' || type.startsWith('text/');
  if (CODE.test(type)) return { kind: 'text', markdown: fenced(clean(text)), notes };
  if (plain) return { kind: 'text', markdown: clean(text), notes };
  throw new Refusal(`Documents of the type ${type} are not read; pages, PDFs and text are.`);
}

function isPdf(bytes: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(bytes.subarray(0, 1024)).includes('%PDF-');
}

function bounded(reading: Reading): Reading {
  if (reading.markdown.length <= MOST_CHARS) return reading;
  const notes = [...reading.notes, `Only its first ${MOST_CHARS} characters are there.`];
  return { ...reading, markdown: reading.markdown.slice(0, MOST_CHARS), notes };
}
