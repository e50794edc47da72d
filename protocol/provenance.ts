export { PAYLOAD_TYPE, purlOf, statementOf, type Statement } from './provenance/statement.ts';
export { publicKeyRecordOf, publicKeyRecordSchema, type PublicKeyRecord } from './provenance/keys.ts';
export { bundleSchema, signStatement, verifyBundle, type SignedBundle } from './provenance/bundle.ts';
export {
  receiptBytes,
  receiptSchema,
  signReceipt,
  verifyReceipt,
  type Receipt,
} from './provenance/receipt.ts';
