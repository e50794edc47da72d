import { Readability } from '@mozilla/readability';
import { parseHTML } from 'linkedom';
import { cleanLine } from './clean.ts';
import { markdownOf } from './markdown.ts';
import { isModest, wordsOf } from './outline.ts';
import type { Mode, Reading } from './requests.ts';
import { settleBody, type Tree, type TreeElement } from './tree.ts';

/** An article shorter than this is more likely a page that is none. */
const SHORTEST_ARTICLE = 200;
/** Where a title is looked for without a tree. */
const HEAD_CHARS = 20_000;
/** Where a page leaves its head out, as it may, the tree has it elsewhere. */
const LOOSE_TITLE = ':not(svg) > title';
/** What shows nothing that could be read. */
const UNREAD =
  'body title, script, style, template, noscript, iframe, object, embed, svg, canvas, video, audio, map, dialog, [hidden]';
const HIDDEN_STYLE =
  /(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9]))/i;

/** The readable part of a page, or the whole of it, as Markdown with absolute links. */
export function readHtml(html: string, url: URL, mode: Mode): Reading {
  const asText = (): Reading => ({
    kind: 'text',
    title: cleanLine(/<title[^>]{0,200}>([^<]{0,1000})/i.exec(html.slice(0, HEAD_CHARS))?.[1]),
    markdown: wordsOf(html),
    notes: ['It is too deep, or has too many parts, to keep its form; these are its words alone.'],
  });
  if (mode === 'words' || !isModest(html)) return asText();
  try {
    return readTree(html, url, mode);
  } catch (error) {
    // The stack is what a tree of any remaining shape can use up.
    if (error instanceof RangeError) return asText();
    throw error;
  }
}

function readTree(html: string, url: URL, mode: Mode): Reading {
  const { document } = parseHTML(/<html[\s>]/i.test(html) ? html : `<html>${html}</html>`);
  const tree = document as unknown as Tree;
  settleBody(tree);
  const base = baseOf(tree, url);
  const about = {
    title: cleanLine(tree.title) ?? cleanLine(tree.querySelector(LOOSE_TITLE)?.textContent),
    language: cleanLine(tree.documentElement.getAttribute('lang'), 35),
    published: publishedOf(tree),
  };
  // Before it is searched for an article, which would take hidden words for a part of one.
  for (const element of tree.querySelectorAll(UNREAD)) element.remove();
  for (const element of tree.querySelectorAll('[style]'))
    if (HIDDEN_STYLE.test(element.getAttribute('style') ?? '')) element.remove();
  makeLinksAbsolute(tree, base);
  const body = tree.body ?? tree.documentElement;
  if (mode === 'page') return { kind: 'page', ...about, markdown: markdownOf(body), notes: [] };

  const whole = body.cloneNode(true);
  const article = new Readability<unknown>(document, {
    // In them code says its language.
    keepClasses: true,
    serializer: (element) => element,
  }).parse();
  if (!article?.content || (article.textContent ?? '').trim().length < SHORTEST_ARTICLE)
    return { kind: 'page', ...about, markdown: markdownOf(whole), notes: [] };
  return {
    kind: 'article',
    ...about,
    title: cleanLine(article.title) ?? about.title,
    byline: cleanLine(article.byline),
    published: about.published ?? cleanLine(article.publishedTime, 40),
    markdown: markdownOf(article.content as TreeElement),
    notes: [],
  };
}

/** A page may say what its links are relative to. */
function baseOf(document: Tree, url: URL): URL {
  const said = document.querySelector('base[href]')?.getAttribute('href') ?? '';
  return URL.canParse(said, url.href) ? new URL(said, url.href) : url;
}

function publishedOf(document: Tree): string | undefined {
  const said =
    document.querySelector('meta[property="article:published_time"]')?.getAttribute('content') ??
    document.querySelector('time[datetime]')?.getAttribute('datetime');
  return cleanLine(said, 40);
}

/** What leads to no page, such as a script, is text and no link. */
function makeLinksAbsolute(document: Tree, base: URL): void {
  for (const link of document.querySelectorAll('a[href]')) {
    const href = link.getAttribute('href') ?? '';
    const target = URL.canParse(href, base.href) ? new URL(href, base.href) : undefined;
    if (target !== undefined && /^(?:https?|mailto):$/.test(target.protocol))
      link.setAttribute('href', target.href);
    else link.removeAttribute('href');
  }
}
