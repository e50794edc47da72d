/** Text, an element, or something else. */
export interface TreeNode {
  readonly nodeType: number;
  readonly textContent: string | null;
}

/** What is used of the tree of a page, by the names of the DOM standard. */
export interface TreeElement extends TreeNode {
  readonly tagName: string;
  readonly childNodes: Iterable<TreeNode>;
  readonly className: string;
  readonly children: { readonly length: number };
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  querySelector(selector: string): TreeElement | null;
  querySelectorAll(selector: string): Iterable<TreeElement>;
  closest(selector: string): TreeElement | null;
  cloneNode(deep: boolean): TreeElement;
  append(...nodes: TreeNode[]): void;
  remove(): void;
}

/** A whole page. */
export interface Tree extends Pick<TreeElement, 'querySelector' | 'querySelectorAll'> {
  readonly title: string;
  readonly body: TreeElement | null;
  readonly documentElement: TreeElement;
}

const ELEMENT = 1;
const TEXT = 3;
/** What a head may hold (HTML §4.2.1); anything else begins the body. */
const OF_HEAD = new Set(['TITLE', 'META', 'LINK', 'BASE', 'STYLE', 'SCRIPT', 'NOSCRIPT', 'TEMPLATE', 'HEAD']);

/** Pages may leave out the tags of head and body (HTML §13.1.2.4), which this parser does not make up for. */
export function settleBody(tree: Tree): void {
  if (tree.querySelector('body') !== null) return;
  const root = tree.documentElement;
  const head = tree.querySelector('head');
  const nodes = [...(head?.childNodes ?? []), ...root.childNodes];
  const from = nodes.findIndex(beginsBody);
  // It is made when it is asked for.
  if (from >= 0) tree.body?.append(...nodes.slice(from).filter((node) => node !== head));
}

function beginsBody(node: TreeNode): boolean {
  if (node.nodeType === TEXT) return (node.textContent ?? '').trim() !== '';
  return node.nodeType === ELEMENT && !OF_HEAD.has((node as TreeElement).tagName);
}
