import { isIP } from 'node:net';
import type { RefusalReason } from '../../protocol/audit.ts';
import { readClientHello } from './client-hello.ts';
import type { EgressRule } from './egress.ts';
import { requestGate, type RequestGate } from './http-host.ts';

/** What a connection began with: enough to say by which rule it may go on, or why not. */
export type Opening =
  | { kind: 'more' }
  | { kind: 'refused'; reason: RefusalReason; named?: string }
  /** `first` goes on before anything else; what follows passes through the gate where there is one. */
  | { kind: 'granted'; rule: EgressRule; first: Buffer; gate: RequestGate | undefined };

/** Reads the first bytes of connections to one host and port, until they are enough. */
export interface OpeningReader {
  /** With no bytes: whether it takes any at all, since in some protocols the server speaks first. */
  take(bytes: Buffer): Opening;
}

const TLS_HANDSHAKE = 22;

/** `rules` are those for this host and port; whatever one of them allows is allowed. */
export function openingReader(rules: readonly EgressRule[], host: string): OpeningReader {
  let held: Buffer = Buffer.alloc(0);
  let gate: RequestGate | undefined;
  const [tcp, tls, http] = (['tcp', 'tls', 'http'] as const).map((protocol) =>
    rules.find((rule) => rule.protocol === protocol),
  );

  function hello(rule: EgressRule): Opening {
    const read = readClientHello(held);
    if (read.kind === 'more') return read;
    if (read.kind === 'fault') return { kind: 'refused', reason: 'not-tls' };
    // RFC 6066 §3: an address is never a server name.
    const expected = isIP(host) === 0 ? host : undefined;
    if (read.name === expected) return { kind: 'granted', rule, first: held, gate: undefined };
    if (read.name === undefined) return { kind: 'refused', reason: 'no-name' };
    return { kind: 'refused', reason: 'other-name', named: read.name };
  }

  function request(rule: EgressRule, bytes: Buffer): Opening {
    gate ??= requestGate(host, rule.port);
    const { pass, fault } = gate.take(bytes);
    if (fault !== undefined) return { kind: 'refused', ...fault };
    return pass === undefined ? { kind: 'more' } : { kind: 'granted', rule, first: pass, gate };
  }

  return {
    take(bytes) {
      if (tcp !== undefined) return { kind: 'granted', rule: tcp, first: bytes, gate: undefined };
      held = Buffer.concat([held, bytes]);
      if (held.length === 0) return { kind: 'more' };
      if (tls !== undefined && (http === undefined || held[0] === TLS_HANDSHAKE)) return hello(tls);
      if (http !== undefined) return request(http, bytes);
      return { kind: 'refused', reason: 'port-not-granted' };
    },
  };
}
