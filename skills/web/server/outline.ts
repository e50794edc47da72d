import { Parser, Tokenizer } from 'htmlparser2';
import { clean } from './clean.ts';

/**
 * Beyond these a page is not built as a tree: what works on trees takes steps for each level of each element, and some
 * of it calls itself. People's pages stay far below.
 */
const MOST_DEPTH = 400;
const MOST_ELEMENTS = 30_000;
const MOST_STEPS = 1_000_000;
/** How much is read between two looks at the bounds. */
const CHUNK_CHARS = 4_096;

/** Whether the tree of a page is small enough to be worked on. Reads no further than to where it is not. */
export function isModest(html: string): boolean {
  let depth = 0;
  let deepest = 0;
  let elements = 0;
  const parser = new Parser({
    onopentag() {
      depth += 1;
      elements += 1;
      deepest = Math.max(deepest, depth);
    },
    onclosetag() {
      depth -= 1;
    },
  });
  for (let at = 0; at < html.length; at += CHUNK_CHARS) {
    parser.write(html.slice(at, at + CHUNK_CHARS));
    if (deepest > MOST_DEPTH || elements > MOST_ELEMENTS || deepest * elements > MOST_STEPS) return false;
  }
  return true;
}

/** What is in them is no text of the page. */
const SILENT = new Set(['script', 'style', 'template', 'noscript', 'svg', 'iframe', 'object', 'title']);
/** What stands on lines of its own. */
const BLOCK =
  /^(?:address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|tr|ul)$/;

/** The words of a page without their form, in time and memory that grow with its length alone. */
export function wordsOf(html: string): string {
  const words: string[] = [];
  /** The element whose end is waited for. */
  let silent: string | undefined;
  const nothing = (): void => undefined;
  const tokenizer = new Tokenizer(
    { xmlMode: false, decodeEntities: true },
    {
      onopentagname(start, end) {
        const name = html.slice(start, end).toLowerCase();
        if (SILENT.has(name)) silent ??= name;
        if (BLOCK.test(name)) words.push('\n');
      },
      onclosetag(start, end) {
        const name = html.slice(start, end).toLowerCase();
        if (silent === name) silent = undefined;
        if (BLOCK.test(name)) words.push('\n');
      },
      ontext(start, end) {
        if (silent === undefined) words.push(html.slice(start, end).replaceAll(/\s+/g, ' '));
      },
      ontextentity(codepoint) {
        if (silent === undefined) words.push(String.fromCodePoint(codepoint));
      },
      onselfclosingtag: nothing,
      onopentagend: nothing,
      onattribdata: nothing,
      onattribentity: nothing,
      onattribend: nothing,
      onattribname: nothing,
      oncdata: nothing,
      oncomment: nothing,
      ondeclaration: nothing,
      onprocessinginstruction: nothing,
      onend: nothing,
    },
  );
  tokenizer.write(html);
  tokenizer.end();
  return clean(words.join('').replaceAll(/\n +/g, '\n'));
}
