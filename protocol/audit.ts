export {
  auditEventSchema,
  auditRecordSchema,
  type AuditEvent,
  type AuditRecord,
  type RefusalReason,
} from './audit/events.ts';
export { type ChainTip, FIRST_PREVIOUS, link, linked, signHead, verifyChain } from './audit/chain.ts';
export { describeRecord } from './audit/sentences.ts';
