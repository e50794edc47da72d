import { readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Loader, Plugin } from 'esbuild';
import { bundle } from '../bundle.ts';

/** Where the files of somebody else's program lie in a package, as they lay beside each other before. */
export const VENDOR_FOLDER = 'vendor';

/** A program as one module in which each part still knows where it lay. */
export interface LocatedBundle {
  code: Buffer;
  /** Folders of packages, relative to the root, whose code asks where it lies: they may read files beside it. */
  located: readonly string[];
  /** Folders of all packages that went in, the root itself as ''. */
  packages: readonly string[];
}

const LOADERS: Readonly<Record<string, Loader>> = { '.ts': 'ts', '.mts': 'ts', '.cts': 'ts' };
const ASKS = /import\.meta|__dirname|__filename|require\.main/;

/**
 * Bundles somebody else's program for `/skill/vendor`. In one file all modules would believe to lie where that file
 * lies, and would not find what they read beside them; here each is told its old place below `vendor`.
 * @param root real path of the folder that all its modules lie in.
 * @param entry relative to it.
 * @throws AppError `pack-failed`.
 */
export async function locatedBundle(root: string, entry: string): Promise<LocatedBundle> {
  const located = new Set<string>();
  const packages = new Set<string>();
  const start = join(root, entry);
  const plugin: Plugin = {
    name: 'berth-located',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]s$/ }, async ({ path }) => {
        if (!path.startsWith(root + sep)) return undefined;
        const place = relative(root, path).replaceAll(sep, '/');
        packages.add(packageFolder(place));
        const source = await readFile(path, 'utf8');
        if (!ASKS.test(source)) return undefined;
        located.add(packageFolder(place));
        const text = source.startsWith('#!') ? `//${source}` : source;
        const contents = `${placeOf(place, path === start && /require\.main/.test(source))}${text}`;
        return { contents, loader: LOADERS[extname(path)] ?? 'js' };
      });
    },
  };
  const code = await bundle(root, entry, {
    plugins: [plugin],
    // The banner comes when the whole is packed.
    banner: {},
    define: {
      'import.meta.url': 'berthUrl',
      'import.meta.filename': 'berthFile',
      'import.meta.dirname': 'berthFolder',
      __filename: 'berthFile',
      __dirname: 'berthFolder',
      'require.main': 'berthMain',
    },
  });
  return { code, located: [...located].toSorted(), packages: [...packages].toSorted() };
}

/** Where the program lies in the sandbox, which its `process.argv` and its modules say. */
export function placeInside(path: string): string {
  return `/skill/${VENDOR_FOLDER}/${path}`;
}

/** On one line with the source behind it, so that lines keep their numbers. */
function placeOf(path: string, isMain: boolean): string {
  const file = placeInside(path);
  const values = {
    berthUrl: pathToFileURL(file).href,
    berthFile: file,
    berthFolder: file.slice(0, file.lastIndexOf('/')),
  };
  const consts = Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  // A script that looks whether it was started itself was.
  return `const ${consts.join(', ')}, berthMain = ${isMain ? 'module' : 'undefined'}; `;
}

/** The folder of the npm package that a file belongs to; '' for the root's own. */
function packageFolder(path: string): string {
  const at = path.lastIndexOf('node_modules/');
  if (at < 0) return '';
  const [first = '', second = ''] = path.slice(at + 'node_modules/'.length).split('/');
  return path.slice(0, at + 'node_modules/'.length) + (first.startsWith('@') ? `${first}/${second}` : first);
}
