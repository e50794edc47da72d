import { EFFECTS, inEffectOrder, type Effect } from './effects.ts';
import type { Permissions } from './permissions.ts';

/** What of a tool counts here: its name and what it hints at. */
interface HintedTool {
  name: string;
  annotations?:
    | {
        readOnlyHint?: boolean | undefined;
        destructiveHint?: boolean | undefined;
        openWorldHint?: boolean | undefined;
      }
    | undefined;
}

/** The part of a manifest that speaks of tools. */
interface DeclaresTools {
  tools: Readonly<Record<string, { effects: readonly Effect[] }>>;
}

/**
 * What a tool does to the world, in its author's words: what the manifest declares; else what the
 * annotations say; else the worst that MCP presumes. Never empty.
 *
 * Of two words of one author the graver one counts: an annotation that admits to more than the
 * manifest adds to it, and one that claims less takes nothing off.
 */
export function toolEffects(tool: HintedTool, manifest: DeclaresTools): Effect[] {
  const hints = tool.annotations ?? {};
  const declared = Object.hasOwn(manifest.tools, tool.name) ? manifest.tools[tool.name]?.effects : undefined;
  if (declared === undefined || declared.length === 0) return effectsOfHints(hints);

  const effects = new Set(declared);
  if (hints.destructiveHint === true) effects.add('destroy');
  if (hints.readOnlyHint === false && [...effects].every((effect) => effect === 'read'))
    effects.add('update');
  return inEffectOrder(effects);
}

/**
 * MCP's defaults are "not read-only, destructive, open world", so silence is `destroy` and `send`.
 * `readOnlyHint` stands for `read` and `destructiveHint: false` for `update`; a tool that claims to
 * be read-only and destructive at once is taken to be destructive.
 */
function effectsOfHints({
  readOnlyHint,
  destructiveHint,
  openWorldHint,
}: NonNullable<HintedTool['annotations']>): Effect[] {
  if (readOnlyHint === true && destructiveHint !== true) return ['read'];
  if (destructiveHint === false) return ['update'];
  return openWorldHint === false ? ['destroy'] : ['destroy', 'send'];
}

/**
 * What is left of an author's effects in a sandbox that holds `permissions`: what cannot happen is
 * taken off, down to `read` and never to nothing. More permissions never leave fewer effects.
 *
 * - `create`, `update`, `destroy` need state that can be changed: a folder with write access
 *   (`${data}` counts, it outlives the call), or a network, behind which state may be.
 * - `send` needs a network. What a tool answers, and what it asks a client's model or user, goes to
 *   the side that called it and is no sending.
 * - `spend` needs a network, or sampling, which is paid for by the client.
 * - `run` needs a program outside the package, or a network, behind which a job may be started. What
 *   the package runs of its own is inside the sandbox and has no effect that is not named here.
 *
 * A program outside the package adds nothing to the other rules: it runs in the same sandbox, with
 * the same folders and the same network. Variables and secrets are only read.
 */
export function boundEffects(effects: readonly Effect[], permissions: Permissions): Effect[] {
  const network = permissions.network.length > 0;
  const writes = network || permissions.filesystem.some(({ mode }) => mode === 'rw');
  const possible: Record<Effect, boolean> = {
    read: true,
    create: writes,
    update: writes,
    destroy: writes,
    send: network,
    spend: network || permissions.mcp.sampling,
    run: network || permissions.subprocess.length > 0,
  };
  const left = inEffectOrder(effects.filter((effect) => possible[effect]));
  return left.length === 0 ? ['read'] : left;
}

/** What a tool that says it only reads must not do. Running a program that was granted does none of it by itself. */
const MORE_THAN_READING = EFFECTS.filter((effect) => effect !== 'read' && effect !== 'run');

/**
 * Whether it is more than its author's word that a tool with these effects only reads: the sandbox leaves it no
 * folder to write in and no network. A `stateless` skill runs such tools with every folder read-only.
 */
export function isEnforced(
  effects: readonly Effect[],
  permissions: Permissions,
  stateless: boolean | undefined,
): boolean {
  const held: Permissions = stateless === true ? { ...permissions, filesystem: [] } : permissions;
  return onlyReads(effects) && onlyReads(boundEffects(MORE_THAN_READING, held));
}

/** Whether a tool with these effects changes nothing, sends nothing and starts nothing. */
export function onlyReads(effects: readonly Effect[]): boolean {
  return effects.length > 0 && effects.every((effect) => effect === 'read');
}

/**
 * What to propose to an admin: a tool that only reads may go ahead, every other one asks. One that runs `elsewhere`
 * asks in any case: that it only reads is a word that nothing here holds anybody to.
 */
export function suggestAnswer(effects: readonly Effect[], elsewhere = false): 'allow' | 'ask' {
  return !elsewhere && onlyReads(effects) ? 'allow' : 'ask';
}
