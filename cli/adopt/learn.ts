import type { Manifest } from '../../protocol/manifest.ts';
import type { Surface } from '../../protocol/surface.ts';

/** One call to learn from. */
export interface LearnCall {
  tool: string;
  arguments: Record<string, unknown>;
}

/** A packed skill to be run so that it is seen what it wants. Nothing is granted to it. */
export interface LearnOrder {
  /** The unpacked package on this machine. */
  packageDir: string;
  manifest: Manifest;
  surface: Surface;
  /** The user's own calls; without any, each listed tool is called once with made-up arguments. */
  calls: readonly LearnCall[];
}

/** What a run showed. */
export interface Learned {
  /**
   * How it is known: `observed` by the kernel's own account of the run, or `from-errors`: read from what the tools
   * answered when something was refused to them, which misses whatever they keep to themselves.
   */
  how: 'observed' | 'from-errors';
  /** Tools that were called, and those of them that answered without an error. */
  called: readonly string[];
  answered: readonly string[];
  /** Absolute paths inside the sandbox, or folders of this machine, that it was refused. */
  paths: readonly { path: string; mode: 'r' | 'rw' }[];
  /** Without a port where only the name is known. */
  hosts: readonly { host: string; port?: number; protocol?: 'tls' | 'http' | 'tcp' }[];
  programs: readonly string[];
  variables: readonly string[];
  /** Folders, in the words of its manifest, in which it changed something; undefined where that was not watched. */
  changed: readonly string[] | undefined;
  /** Worth knowing, in sentences. */
  notes: readonly string[];
}

/**
 * The port of learning: runs a skill on calls and says what it reached for. `learn-from-errors.ts` needs nothing but
 * the sandbox; a run that is traced sees more.
 */
export type Learn = (order: LearnOrder) => Promise<Learned>;
