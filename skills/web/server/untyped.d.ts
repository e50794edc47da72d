/** The build for browsers works on a tree that somebody else made, and brings no parser of its own. */
declare module 'turndown/lib/turndown.browser.es.js' {
  export { default } from 'turndown';
}
