export {
  PAYLOAD_TYPE,
  PREDICATE_TYPE,
  purlOf,
  STATEMENT_TYPE,
  statementOf,
  statementSchema,
  type Statement,
} from './provenance/statement.ts';
export { publicKeyRecordOf, publicKeyRecordSchema, type PublicKeyRecord } from './provenance/keys.ts';
export {
  BUNDLE_LIMITS,
  bundleSchema,
  signStatement,
  verifyBundle,
  type ExpectedSubject,
  type SignedBundle,
  type VerifiedBundle,
} from './provenance/bundle.ts';
export {
  receiptBytes,
  receiptSchema,
  signReceipt,
  verifyReceipt,
  type Receipt,
} from './provenance/receipt.ts';
