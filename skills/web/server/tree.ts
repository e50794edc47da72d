/** What is used of the tree of a page, by the names of the DOM standard. */
export interface TreeElement {
  readonly textContent: string | null;
  readonly className: string;
  readonly children: { readonly length: number };
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  querySelector(selector: string): TreeElement | null;
  querySelectorAll(selector: string): Iterable<TreeElement>;
  closest(selector: string): TreeElement | null;
  cloneNode(deep: boolean): TreeElement;
  remove(): void;
}

/** A whole page. */
export interface Tree extends Pick<TreeElement, 'querySelector' | 'querySelectorAll'> {
  readonly title: string;
  readonly body: TreeElement | null;
  readonly documentElement: TreeElement;
}
