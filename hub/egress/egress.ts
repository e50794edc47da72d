import type { Server } from 'node:net';
import type { Socket as DatagramSocket } from 'node:dgram';
import type { RefusalReason } from '../../protocol/audit.ts';
import type { Permissions } from '../../protocol/permissions.ts';

/** A host that a sandbox may reach, as the grant says it. */
export interface EgressRule {
  /** An exact name, an address, or `*.` and a name. */
  host: string;
  port: number;
  protocol: Permissions['network'][number]['protocol'];
  /** The one address that the admin named for it; only such a one may be private or this machine's own. */
  address?: string;
}

/** For whom a network is opened, and what it may reach. */
export interface EgressOrder {
  skill: string;
  user: string;
  rules: readonly EgressRule[];
  /** Whether it may be used between calls. */
  background: boolean;
}

/** Sockets that were bound inside of a sandbox's network namespace and are served by the hub. */
export interface SandboxListeners {
  /** One for each port of `EgressSession.ports`, on all addresses of the namespace. */
  servers: readonly Server[];
  /** Port 53: queries come as datagrams, and on a connection where they do not fit into one. */
  dns: { udp: DatagramSocket; tcp: Server };
}

/** The outside of one sandbox's network, from before its start until nothing of it is left. */
export interface EgressSession {
  /** What has to be listened at inside. */
  readonly ports: readonly number[];
  /** Serves what the namespace connects to. */
  attach(listeners: SandboxListeners): void;
  /** A call begins; until the answer is called, the network is open. Without `background` it is shut between calls. */
  enter(): () => void;
  /** Cuts every connection, and serves nothing any more. */
  close(): void;
}

/** What happened at the border, for the audit log. Each refusal, and each first contact of a session with a host. */
export type EgressEvent = EgressContact & ({ kind: 'reached' } | EgressRefusal);

interface EgressContact {
  skill: string;
  user: string;
  /** As the skill named it; `*` for so many that they are not told one by one. */
  host: string;
  port?: number;
  /** That was, or would have been, connected to. */
  address?: string;
  /** How many more of the same there were since the last event that told of it; left out for the first one. */
  count?: number;
}

interface EgressRefusal {
  kind: 'refused';
  reason: RefusalReason;
  /** What a connection named inside itself in place of the host. */
  named?: string;
}

/** The one way out of sandboxes. */
export interface Egress {
  open(order: EgressOrder): EgressSession;
}
