/**
 * What Berth promises, one sentence each. A test cites the ids it proves with `verifies(...)`;
 * `requirements.test.ts` fails on an id that no test proves.
 */
export const REQUIREMENTS = {
  // manifest, permissions, surface
  'manifest.faults': 'A manifest that is not valid is answered with every fault, each with its path and remedy.',
  'manifest.one-meaning': 'A manifest means the same to every reader; doubtful spellings are refused.',
  'manifest.tight': 'A manifest cannot ask for what would undo the sandbox: odd paths, hosts or variables.',
  'manifest.schema-fresh': 'The JSON Schema for editors is the one that Berth reads manifests with.',
  'permissions.lattice': 'Comparing, narrowing and joining permissions agrees with what they let a skill do.',
  'permissions.diff': 'The difference of two sets of permissions is empty exactly when they allow the same.',
  'permissions.sentences': 'Permissions read as plain sentences, and each can be left out by its id.',
  'permissions.paths-inside': 'A granted folder never stands for a place outside of what the admin named.',
  'effects.author-raises': 'Silence about a tool means the worst; hints add to what was declared and never take off.',
  'effects.bounded': 'What permissions make impossible is no effect; more permissions never mean fewer effects.',
  'surface.change-named': 'Whatever changes of what a skill says changes its digest, and is named by its path.',
  'surface.bounded': 'A surface from a hostile skill is refused when it is too big, too deep or ambiguous.',
  'version.resolve': 'A range resolves to the highest release that is not yanked; pre-releases only when asked for.',
  'policy.strictest': 'Deny beats ask, ask beats allow, and where nobody decides the answer is deny.',

  // archive, provenance, log, canonical JSON
  'canonical.one-text': 'A JSON value has one canonical text (RFC 8785), however it was ordered and spaced.',
  'canonical.refuses': 'What JSON cannot say is refused before it is hashed or signed, never dropped.',
  'archive.hostile': 'The archive reader accepts nothing but what the archive writer emits.',
  'archive.bounded': 'A hostile archive is refused at the first fault, within small bounds of memory.',
  'archive.deterministic': 'The same files give the same archive, byte for byte, and read back as they were.',
  'provenance.binds': 'A signature counts only for the exact name, version and archive it speaks of.',
  'provenance.tampering': 'A bundle changed in any place is refused, for Ed25519 and P-256 alike.',
  'provenance.retired': 'A retired key signs nothing more; what it demonstrably signed before stays valid.',
  'provenance.receipt': 'A receipt is accepted only as the registry signed it.',
  'log.rfc6962': 'The log hashes as RFC 6962 says, and appending needs only its right edge.',
  'log.stock-verifier': 'A log entry of a publication is one that stock Sigstore verifiers accept.',

  // registry
  'registry.errors': 'An unexpected fault answers with an id and nothing else; the log has the fault under that id.',
  'registry.bounds': 'Bodies that are too large, too deep, malformed or not asked for are refused before they are used.',
  'registry.data-newer': 'A database that a newer version has changed is refused, not touched.',
  'registry.home-lock': 'A home has one process at a time; a killed process leaves nothing to clean.',
  'registry.config': 'Broken configuration stops the start and names key, source, value (never a secret) and remedy.',
  'registry.keys-kept': 'A private key is never overwritten.',
  'registry.tokens-secret': 'A token never reaches a log.',
  'registry.host-guard': 'A request under a foreign Host or Origin is refused.',

  // sandbox

  // runner
  'runner.single-flight': 'However many calls wait for a skill, it is started once.',
  'runner.per-user': 'Two users never share a process of a skill.',
  'runner.cancel': 'A cancelled call is cancelled in the skill, too; a skill that then shows no life is ended.',
  'runner.idle-stop': 'A skill that nobody calls is ended after a while.',
  'runner.cap': 'Running skills are bounded: an idle one makes room, a working one never does.',
  'runner.epoch': 'What may be done no longer is done by no process that is still allowed it: changed grants drain old children.',
  'runner.close': 'When the hub ends, no process of any skill is left.',
  'runner.surface': 'A skill that no longer says what was approved is ended, and the differences are reported.',
  'runner.hang': 'A hung skill is timed out and ended; the next call works.',
  'runner.start-deadline': 'A skill that does not get ready in time is ended.',
  'runner.crash': 'A crash fails the calls in flight at once; the next call works.',
  'runner.backoff': 'A skill that keeps crashing is not started again and again, and says so quickly.',
  'runner.garbage': 'A skill that prints what is not MCP is ended.',
  'runner.flood': 'An answer of any size costs the hub no more memory than its bound.',
  'runner.stderr': 'What a skill says on standard error reaches log and errors bounded, without its secrets.',

  // mcp endpoint

  // install, call, catalog, approvals
  'catalog.names': 'Tools are named <alias>__<tool> at /mcp, and each name leads back to its skill.',
  'catalog.name-form': 'Names at /mcp fit every client: at most 64 letters, digits, _ and -, and unique.',
  'catalog.only-serving': 'Nothing of a quarantined or blocked skill is shown to a client.',
  'catalog.resource-collision': 'A resource URI offered by two skills belongs to the one installed first.',
  'call.arguments-checked': 'Arguments are checked against the approved schema before policy decides on them.',
  'call.patterns-linear': 'A pattern in a skill’s schema cannot make the hub hang.',
  'call.redacts-secrets': 'The value of a secret never stays in a result or an audit record.',
  'call.result-bounded': 'A result over the bound is refused, and says what to do.',

  // audit
  'audit.chain': 'The audit log is one unbroken chain across restarts, and verifies whole.',
  'audit.signed-heads': 'The head of the audit log is signed at least every 256 records and at every clean stop.',
  'audit.fail-closed': 'What cannot be recorded does not happen.',
  'audit.tampering': 'Editing, deleting, reordering or inserting an audit row is found, and the row is named.',
  'audit.chain': 'An edited, deleted, reordered or inserted audit record is found, and the first bad one is named.',
  'audit.signed': 'What lies before a signed head cannot be rewritten without the key of the hub.',
  'audit.sentences': 'Every audit record reads as one sentence of plain text.',

  // cli

  // skills
  'skills.files-inside': 'The files skill never reads or changes anything outside the granted folder.',
  'skills.files-big': 'The files skill reads any part of a file bigger than its memory.',
  'skills.files-search-linear': 'No search expression or glob can hang the files skill.',
  'skills.files-preview': 'The files skill shows a unified diff of a change before it is made.',
  'skills.files-concurrent': 'Concurrent changes of one file are neither lost in silence nor mixed.',
  'skills.memory-durable': 'A note that was acknowledged is there, whole, after the memory skill is killed.',
  'skills.memory-once': 'An add retried with the same requestId makes one note, also across processes and crashes.',
  'skills.memory-shared': 'Several processes of one user share their notes and never overwrite each other.',
  'skills.memory-forget': 'A forgotten note is found no more and can be restored for thirty days.',
  'skills.files-trash': 'What the files skill deletes can be restored, and nothing is overwritten in silence.',
} as const satisfies Record<string, string>;

export type RequirementId = keyof typeof REQUIREMENTS;
