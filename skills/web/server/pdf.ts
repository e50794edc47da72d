import { getDocumentProxy } from 'unpdf';
import { clean, cleanLine } from './clean.ts';
import { Refusal } from './refusal.ts';
import type { Reading } from './requests.ts';

const MOST_PAGES = 500;
/** A gap between lines of this many line heights parts paragraphs. */
const PARAGRAPH_GAP = 1.6;

/** A run of text as the document places it. */
interface Run {
  str: string;
  hasEOL: boolean;
  height: number;
  transform: readonly number[];
}

/** The text of a PDF, page by page. A scanned one has none. */
export async function readPdf(bytes: Uint8Array): Promise<Reading> {
  const document = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 }).catch((error: unknown) => {
    const { name, message } = error as Error;
    throw new Refusal(
      name === 'PasswordException'
        ? 'The PDF is protected by a password.'
        : `The PDF is damaged (${message}).`,
    );
  });
  try {
    const { info } = await document.getMetadata().catch(() => ({ info: {} }));
    const { Title: title, Author: author } = info as { Title?: unknown; Author?: unknown };
    const pages: string[] = [];
    const most = Math.min(document.numPages, MOST_PAGES);
    for (let number = 1; number <= most; number += 1) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      pages.push(`## Page ${number}\n\n${textOf(items.filter((item) => 'str' in item))}`);
      page.cleanup();
    }
    const notes = [
      ...(document.numPages > MOST_PAGES ? [`Only its first ${MOST_PAGES} pages were read.`] : []),
      ...(pages.every((page) => /^## Page \d+\s*$/.test(page))
        ? ['It holds no text; it may be a scan.']
        : []),
    ];
    return {
      kind: 'pdf',
      title: typeof title === 'string' ? cleanLine(title) : undefined,
      byline: typeof author === 'string' ? cleanLine(author) : undefined,
      pages: document.numPages,
      markdown: clean(pages.join('\n\n')),
      notes,
    };
  } finally {
    await document.loadingTask.destroy();
  }
}

function textOf(runs: readonly Run[]): string {
  let text = '';
  let lastY: number | undefined;
  for (const { str, hasEOL, height, transform } of runs) {
    const y = transform[5] ?? 0;
    if (str.trim() !== '') {
      const gap = lastY === undefined ? 0 : lastY - y;
      if (height > 0 && gap > height * PARAGRAPH_GAP && text.endsWith('\n')) text += '\n';
      lastY = y;
    }
    text += str;
    if (hasEOL) text += '\n';
  }
  return text;
}
