import { realpath } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { BuildFailure, BuildOptions, OnResolveResult, Plugin, PluginBuild } from 'esbuild';
import { AppError } from '../protocol/errors.ts';
import { berthRoot } from './root.ts';

/** Packages that Berth lends to a skill that has none of its own, so that a skill packs without `npm install`. */
const LENT = /^(?:@modelcontextprotocol\/(?:server|core)|zod)(?:\/|$)/;

/** Node's own modules of CommonJS, which bundled packages may still call. On the global object a skill may shadow them. */
const BANNER = [
  "import { createRequire as berthRequire } from 'node:module';",
  "import { fileURLToPath as berthPath } from 'node:url';",
  'globalThis.require ??= berthRequire(import.meta.url);',
  'globalThis.__filename ??= berthPath(import.meta.url);',
  "globalThis.__dirname ??= berthPath(new URL('.', import.meta.url));",
].join('\n');

/**
 * Bundles one entry of a project with all it imports into one ES module for Node 20. The same sources give the same
 * bytes, wherever the project and Berth lie.
 *
 * Every file that goes in lies, with links resolved, in the project (its `node_modules` too) or in Berth's own
 * `node_modules`: a package never carries a file of the author's machine that isn't part of it.
 * @param project real path of the project's folder.
 * @param entry relative to it.
 * @param more what else is to be done with each module, and a banner instead of the usual one.
 * @throws AppError `pack-failed` with every fault in `data.faults`.
 */
export async function bundle(
  project: string,
  entry: string,
  { plugins = [], ...more }: Pick<BuildOptions, 'plugins' | 'define' | 'banner'> = {},
): Promise<Buffer> {
  const { build } = await import('esbuild');
  const lenders = lendingFolders();
  const inside = (path: string): boolean =>
    [project, ...lenders].some((folder) => path.startsWith(folder + sep));
  const ownConfig = join(project, 'tsconfig.json');

  const result = await build({
    absWorkingDir: project,
    entryPoints: [`./${entry}`],
    outfile: join(project, 'bundle.mjs'),
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    charset: 'utf8',
    legalComments: 'inline',
    banner: { js: BANNER },
    metafile: true,
    logLevel: 'silent',
    // esbuild would otherwise obey the tsconfig of whatever folder the project happens to lie in.
    ...(existsSync(ownConfig) ? { tsconfig: ownConfig } : { tsconfigRaw: '{}' }),
    ...more,
    plugins: [...plugins, lendPackages(inside)],
  }).catch((error: unknown) => {
    throw asPackFailure(error);
  });

  await refuseForeignInputs(Object.keys(result.metafile.inputs), { project, inside });
  const text = result.outputFiles[0]?.text ?? '';
  return Buffer.from(withPortablePaths(text, { project, lenders }));
}

/** Resolves imports as Node does; where that fails or leaves the allowed folders, offers what Berth lends. */
function lendPackages(inside: (path: string) => boolean): Plugin {
  const asked = Symbol('asked by this plugin');
  const ask = (
    build: PluginBuild,
    args: Parameters<Parameters<PluginBuild['onResolve']>[1]>[0],
    resolveDir: string,
  ) =>
    build.resolve(args.path, {
      resolveDir,
      importer: args.importer,
      kind: args.kind,
      namespace: args.namespace,
      with: args.with,
      pluginData: asked,
    });
  return {
    name: 'berth-lends',
    setup(build) {
      build.onResolve({ filter: LENT }, async (args): Promise<OnResolveResult | undefined> => {
        if (args.pluginData === asked || isBuiltin(args.path)) return undefined;
        const own = await ask(build, args, args.resolveDir);
        if (own.errors.length === 0 && inside(own.path)) return own;
        const lent = await ask(build, args, berthRoot());
        return lent.errors.length === 0 ? lent : undefined;
      });
    },
  };
}

async function refuseForeignInputs(
  inputs: readonly string[],
  { project, inside }: { project: string; inside: (path: string) => boolean },
): Promise<void> {
  const faults: { path: string; problem: string; remedy: string }[] = [];
  for (const input of inputs) {
    // A file that `browser`-like maps switch off has no bytes and no path.
    if (/^(?:\(disabled\)|disabled):/.test(input)) continue;
    const real = await realpath(resolve(project, input)).catch(() => undefined);
    if (real !== undefined && inside(real)) continue;
    faults.push({
      path: input,
      problem:
        real === undefined || real === resolve(project, input)
          ? 'lies outside the project'
          : `leads outside the project, to ${real}`,
      remedy: 'Copy it into the project, or install it into its own node_modules.',
    });
  }
  if (faults.length === 0) return;
  throw new AppError('pack-failed', {
    detail: `${faults[0]?.path} is imported, but ${faults[0]?.problem}.`,
    hint: 'A package holds only files of its own project. Copy the file into it.',
    data: { faults },
  });
}

/**
 * esbuild names modules by their path from the project, in comments and as keys of wrapped CommonJS modules. For
 * lent packages that path tells where Berth lies; it is written as if they lay in the project.
 */
function withPortablePaths(
  text: string,
  { project, lenders }: { project: string; lenders: readonly string[] },
): string {
  return lenders.reduce((result, folder) => {
    const written = escapeForPattern(`${relative(project, folder).replaceAll(sep, '/')}/`);
    return result
      .replaceAll(new RegExp(`^// ${written}`, 'gm'), '// node_modules/')
      .replaceAll(new RegExp(`^( +)"${written}([^"\\n]*"\\()`, 'gm'), '$1"node_modules/$2');
  }, text);
}

const escapeForPattern = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

function asPackFailure(error: unknown): unknown {
  const { errors } = error as Partial<BuildFailure>;
  if (!Array.isArray(errors)) return error;
  const faults = errors.slice(0, 50).map(({ text, location }) => ({
    path: location === null ? '' : `${location.file}:${location.line}:${location.column + 1}`,
    problem: text,
    remedy: /Could not resolve/.test(text)
      ? 'Install the package into the project, or correct the path.'
      : '',
  }));
  return new AppError('pack-failed', {
    detail: 'The code could not be bundled.',
    hint: 'Correct what is listed and pack again.',
    data: { faults },
    cause: error,
  });
}

/** Where Berth's dependencies lie: below it, or beside it when it is itself a dependency. */
function lendingFolders(): string[] {
  const root = berthRoot();
  const beside = dirname(root);
  return [join(root, 'node_modules'), ...(basename(beside) === 'node_modules' ? [beside] : [])];
}
