import TurndownService from 'turndown/lib/turndown.browser.es.js';
import { clean, fenced } from './clean.ts';
import type { TreeElement } from './tree.ts';

/** Markdown of a part of a page: with tables and code, and with images as what they are said to show. */
export function markdownOf(element: TreeElement): string {
  const service = new TurndownService({
    headingStyle: 'atx',
    bulletListMarker: '-',
    codeBlockStyle: 'fenced',
    emDelimiter: '*',
  });
  service.addRule('image', {
    filter: 'img',
    // No address: whoever shows this must not be made to call somebody by it.
    replacement: (_content, node) => {
      const said = clean((node as TreeElement).getAttribute('alt') ?? '')
        .replaceAll(/[\s[\]]+/g, ' ')
        .trim();
      return said === '' ? '' : `[image: ${said}]`;
    },
  });
  service.addRule('struck', {
    filter: ['del', 's'],
    replacement: (content) => (content.trim() === '' ? '' : `~~${content}~~`),
  });
  service.addRule('code', {
    filter: 'pre',
    replacement: (_content, node) => codeBlock(node as TreeElement),
  });
  addTables(service);
  return clean(service.turndown(element as never));
}

function codeBlock(block: TreeElement): string {
  const code = block.querySelector('code') ?? block;
  const [, language = ''] =
    /(?:^|\s)(?:language|lang|highlight-source)-([\w+#.-]{1,30})/.exec(
      `${code.className} ${block.className}`,
    ) ?? [];
  const text = (block.textContent ?? '').replace(/\n$/, '');
  return `\n\n${fenced(text, language)}\n\n`;
}

/** What there is to know of a table, looked up once: it may have very many cells. */
interface Shape {
  arranging: boolean;
  firstRow: TreeElement | null;
}

/** Tables as GitHub's Markdown writes them. One that only arranges a page is its content. */
function addTables(service: TurndownService): void {
  const shapes = new WeakMap<TreeElement, Shape>();
  const shapeOf = (part: TreeElement): Shape => {
    const table = part.closest('table');
    const known = table === null ? undefined : shapes.get(table);
    if (known !== undefined) return known;
    const firstRow = table?.querySelector('tr') ?? null;
    const arranging =
      table === null ||
      table.getAttribute('role') === 'presentation' ||
      table.querySelector('table') !== null ||
      (firstRow?.children.length ?? 0) < 2;
    const shape = { arranging, firstRow };
    if (table !== null) shapes.set(table, shape);
    return shape;
  };
  service.addRule('cell', {
    filter: ['td', 'th'],
    replacement: (content, node) =>
      shapeOf(node as TreeElement).arranging
        ? `\n\n${content}\n\n`
        : `| ${content
            .trim()
            .replaceAll(/\s*\n\s*/g, ' ')
            .replaceAll('|', '\\|')} `,
  });
  service.addRule('row', {
    filter: 'tr',
    replacement: (content, node) => {
      const { arranging, firstRow } = shapeOf(node as TreeElement);
      if (arranging) return content;
      const line = `${content.trim()} |\n`;
      const { length: cells } = (node as TreeElement).children;
      return node === firstRow ? `${line}${'| --- '.repeat(cells)}|\n` : line;
    },
  });
  service.addRule('rows', { filter: ['thead', 'tbody', 'tfoot'], replacement: (content) => content });
  service.addRule('table', { filter: 'table', replacement: (content) => `\n\n${content}\n\n` });
}
