import type { AuditEvent } from '../../protocol/audit.ts';
import type { EgressEvent } from './egress.ts';

/** What happened at the border as the audit log keeps it. */
export function auditEventOf({ kind, ...contact }: EgressEvent): AuditEvent {
  return { event: `network.${kind}`, ...contact } as AuditEvent;
}
