import { join } from 'node:path';
import { systemClock } from '../../hub/clock.ts';
import type { EgressEvent, EgressRule } from '../../hub/egress/egress.ts';
import { systemResolve } from '../../hub/egress/lookups.ts';
import { createEgress } from '../../hub/egress/session.ts';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { createStrace } from '../../hub/sandbox/strace.ts';
import type { TraceListener } from '../../hub/sandbox/tracer.ts';
import type { Context } from '../command.ts';
import { openSandbox } from '../sandbox.ts';
import { readRunFile } from '../servers.ts';

/** A sandbox in which it is seen what a skill does; the same as the hub's in all else. */
export interface LearnSandbox {
  driver: SandboxDriver;
  /** Who hears of what is seen from now on, inside and at the border. */
  listen(listener: TraceListener, atBorder?: (event: EgressEvent) => void): void;
  /** Tells all that was done until now. */
  drain(): void;
  /** Addresses that stand for names in the network that was opened last: each name that was asked for has one. */
  names: ReadonlyMap<string, string>;
  /** @throws AppError `learn-unavailable` when nothing can be watched here. */
  check(): Promise<void>;
  /** Lines of the trace that could not be read. */
  lost(): number;
}

/** A sandbox has a network only for a host: this one is nobody's (RFC 6761 §6.4), at the port that discards. */
const NOBODY: EgressRule = { host: 'nobody.invalid', port: 9, protocol: 'tcp' };

/** Hosts for a plan in which it is to be seen which ones are wanted, though it may be that none is granted. */
export function seenHosts(granted: readonly EgressRule[]): readonly EgressRule[] {
  return granted.length === 0 ? [NOBODY] : granted;
}

/**
 * Whether it can be used shows at the first start: `learn-unavailable` where strace is missing.
 * @throws AppError `config-invalid` for settings of the hub that cannot be read.
 */
export async function openLearnSandbox(context: Pick<Context, 'home' | 'settings'>): Promise<LearnSandbox> {
  const { home, settings } = context;
  const stateDir = join(home, 'dev', 'sandbox');
  let listener: TraceListener = () => undefined;
  let atBorder = (_event: EgressEvent): void => undefined;
  let lost = 0;
  const strace = createStrace({
    path: settings.environment['PATH'] ?? '',
    stateDir,
    seen: (...seen) => listener(...seen),
    lost: (lines) => (lost += lines),
  });
  const names = new Map<string, string>();
  const doors = await doorsOf(home);
  const egress = createEgress({
    clock: systemClock,
    resolve: systemResolve,
    doors: () => doors,
    events: (event) => atBorder(event),
    answered: (name, address) => names.set(address, name),
  });
  const driver = await openSandbox(context, stateDir, {
    tracer: strace,
    egress: {
      open(order) {
        names.clear();
        return egress.open(order);
      },
    },
  });
  return {
    driver,
    names,
    listen(next, border = () => undefined) {
      listener = next;
      atBorder = border;
    },
    drain: () => strace.drain(),
    check: () => strace.check(),
    lost: () => lost,
  };
}

/** Where the servers of this home answer. */
async function doorsOf(home: string): Promise<{ host: string; port: number }[]> {
  const { hub, registry, mcp } = (await readRunFile(home)) ?? {};
  return [hub, registry, mcp].flatMap((text) => {
    if (text === undefined) return [];
    const { hostname, port, protocol } = new URL(text);
    return [{ host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) }];
  });
}
