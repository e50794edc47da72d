export {
  auditEventSchema,
  auditRecordSchema,
  type AuditEntry,
  type AuditEvent,
  type AuditRecord,
} from './audit/events.ts';
export {
  FIRST_PREVIOUS,
  link,
  signedHeadSchema,
  signHead,
  verifyChain,
  type ChainVerdict,
  type SignedHead,
} from './audit/chain.ts';
export { describeRecord } from './audit/sentences.ts';
