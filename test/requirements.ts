/**
 * What Berth promises, one sentence each. A test cites the ids it proves with `verifies(...)`;
 * `requirements.test.ts` fails on an id that no test proves.
 */
export const REQUIREMENTS = {
  // the house
  'house.imports': 'The linter refuses imports against the direction of the house, and says why.',

  // documentation
  'docs.fresh':
    'Pages made from the code are current, and the error table holds only errors that can happen.',
  'docs.true': 'The pages name only files that exist.',

  // manifest, permissions, surface
  'manifest.faults':
    'A manifest that is not valid is answered with every fault, each with its path and remedy.',
  'manifest.one-meaning': 'A manifest means the same to every reader; doubtful spellings are refused.',
  'manifest.tight': 'A manifest cannot ask for what would undo the sandbox: odd paths, hosts or variables.',
  'manifest.schema-fresh': 'The JSON Schema for editors is the one that Berth reads manifests with.',
  'permissions.lattice': 'Comparing, narrowing and joining permissions agrees with what they let a skill do.',
  'permissions.diff': 'The difference of two sets of permissions is empty exactly when they allow the same.',
  'permissions.sentences': 'Permissions read as plain sentences, and each can be left out by its id.',
  'permissions.allowed-hosts':
    'Where a manifest leaves hosts to the admin, what the admin names is granted, host by host, and nothing else.',
  'permissions.paths-inside': 'A granted folder never stands for a place outside of what the admin named.',
  'effects.author-raises':
    'Silence about a tool means the worst; hints add to what was declared and never take off.',
  'effects.bounded':
    'What permissions make impossible is no effect; more permissions never mean fewer effects.',
  'surface.change-named':
    'Whatever changes of what a skill says changes its digest, and is named by its path.',
  'surface.bounded': 'A surface from a hostile skill is refused when it is too big, too deep or ambiguous.',
  'version.resolve':
    'A range resolves to the highest release that is not yanked; pre-releases only when asked for.',
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
  'registry.errors':
    'An unexpected fault answers with an id and nothing else; the log has the fault under that id.',
  'registry.bounds':
    'Bodies that are too large, too deep, malformed or not asked for are refused before they are used.',
  'registry.data-newer': 'A database that a newer version has changed is refused, not touched.',
  'registry.home-lock': 'A home has one process at a time; a killed process leaves nothing to clean.',
  'registry.config':
    'Broken configuration stops the start and names key, source, value (never a secret) and remedy.',
  'registry.keys-kept': 'A private key is never overwritten.',
  'registry.tokens-secret': 'A token never reaches a log.',
  'registry.publish':
    'A package signed with Ed25519 or P-256 is published with a receipt that anybody can verify.',
  'registry.same-receipt': 'The same archive under the same version again answers the first receipt.',
  'registry.version-exists': 'A published version never gets other bytes.',
  'registry.race': 'Of publishers that race for one version, one archive wins and the others learn of it.',
  'registry.statement': 'A statement that differs from its archive in any point is refused.',
  'registry.signer': 'Only a key that is registered for the namespace and not retired may sign.',
  'registry.archive-first': 'Faults of an archive are named before faults of its signature.',
  'registry.upload': 'An upload of wrong, truncated or too many bytes leaves nothing.',
  'registry.no-file-host': 'An archive that no published version refers to is not served.',
  'registry.blob': 'Archives are served with Range, ETag and immutable caching.',
  'registry.downloads': 'Downloads are counted across restarts.',
  'registry.log':
    'Every publication and change is in the log, under a signed head that is the root of all entries.',
  'registry.log-checked': 'A registry whose log was altered does not start.',
  'registry.immutable':
    'Published versions, log and audit rows cannot be changed or removed in the database.',
  'registry.openapi': 'The published contract holds exactly the addresses that the registry answers.',
  'registry.rate-limit': 'Addresses and tokens have rates of their own, and a refusal says how long to wait.',
  'registry.tokens':
    'A token is shown once, kept as a hash, and refused when it is wrong, expired or removed.',
  'registry.tokens-scoped': 'A token publishes and yanks in its namespaces only.',
  'registry.home-token': 'The admin token of a home is the one in its file, and no older one.',
  'registry.keys':
    'The first key of a namespace comes from whoever may publish there, every further one from an admin.',
  'registry.resolve': 'A range resolves to the highest release in it, to a pre-release only when asked.',
  'registry.yank': 'A yanked version is neither resolved nor found, and can be put back.',
  'registry.deprecate': 'A deprecated version is warned about and still resolved.',
  'registry.search':
    'Skills are found by name, title, description, keywords and tool names, with what they may do.',
  'registry.search-rank':
    'Search puts exact names first, then names that start so, then text, downloads and freshness.',
  'registry.v01': 'MCP servers are listed as the official MCP Registry API v0.1 does.',
  'registry.crash':
    'Killed at any step of a publication, a registry has all of the version or nothing, and takes it again.',
  'registry.disk-full': 'On a full disk nothing half is kept, and everything goes on once there is room.',
  'registry.host-guard': 'A request under a foreign Host or Origin is refused.',

  // sandbox
  'sandbox.nothing-ungranted':
    'A skill sees and changes nothing outside of its package, its scratch space and its grants.',
  'sandbox.no-programs': 'A skill finds no program but its runtime and those that were granted.',
  'sandbox.environment': 'A skill gets the environment of its plan; none of the hub’s is readable to it.',
  'sandbox.unprivileged': 'A skill has no capability, cannot gain one, and its system calls are filtered.',
  'sandbox.no-network': 'A skill without a network grant reaches no network, not even the host’s loopback.',
  'sandbox.descriptors': 'A skill inherits its three pipes and no other descriptor.',
  'sandbox.account':
    'A skill runs as an unprivileged account; only a folder that root alone may use keeps root’s ownership.',
  'sandbox.system-calls':
    'System calls that reach other processes, key rings, namespaces or the kernel itself are refused.',
  'sandbox.limits': 'Memory, processes, open files and scratch space of a skill are bounded.',
  'sandbox.weight':
    'Where processors are short, the hub comes before its skills, and a skill that answers before one that does not.',
  'sandbox.no-orphans': 'When a skill is ended, or its hub killed, no process of it remains.',
  'sandbox.data-apart': 'One skill’s data folder is not there for another.',
  'sandbox.fails-closed': 'Without a usable sandbox, or with a grant it cannot enforce, nothing runs.',
  'sandbox.mounts':
    'A folder is granted only as what it really is: never the hub’s home, the system, or a link out.',
  'sandbox.runtimes':
    'Node, Python and plain programs run with the libraries they need, wherever they are installed.',
  'sandbox.interpreters':
    'Skills run with the Node and Python that the admin names; one that is missing or too old stops the start.',
  'sandbox.python-apart':
    'A Python skill sees its own packages and the standard library, and none that the machine has installed.',
  'sandbox.granted-programs':
    'A granted program is there whole, without a shell; one that is missing is refused before anything is granted.',
  'sandbox.programs-recorded':
    'Which program of the machine a skill was approved and started with is on record.',
  'sandbox.no-borrowed-files':
    'What a package’s program names as its loader or libraries gives it no file of the machine.',
  'sandbox.independent-probes':
    'A C and a Python program that know nothing of how the sandbox is built confirm what it refuses.',
  'sandbox.needs': 'What a skill or the admin needs of a sandbox and it lacks is named, and nothing runs.',
  'sandbox.checks': 'Each thing that a sandbox stands on is a check of its own, with what mends it.',
  'sandbox.drivers': 'Every driver holds to one contract; none stands in for another.',
  'sandbox.unsandboxed':
    'Without a sandbox runs only what an admin named for it, in a hub that allows it; every place that shows it says so.',
  'sandbox.nothing-in-listings':
    'No secret of a skill stands where other accounts can read it, at no moment of its start.',
  'sandbox.whole-tree': 'What bounds a skill bounds all that it starts, and what ends it ends all of that.',
  'learn.sees':
    'In a learn run every path, program, host name and connection that a skill tries is seen, with how it ended.',
  'learn.holds': 'A sandbox that is watched holds as any other, and shows the skill nothing of the watching.',
  'learn.unforgeable':
    'Nothing that a skill names can forge, hide or break what is seen of it, nor the screen.',
  'learn.bounded': 'A skill that floods what is seen of it takes bounded memory, and is told of once.',
  'learn.ends': 'When a watched skill is ended, or whoever watches is killed, no process remains.',
  'learn.unavailable': 'Without strace nothing is learned, and the command that installs it is named.',
  'sandbox.last-words': 'What a program prints reaches its reader, however soon it ends.',
  'sandbox.plan': 'A plan is exactly the grants; a capture has none, whatever the manifest asks.',
  'egress.names':
    'A sandbox is told addresses for the hosts that it was granted and for no others; what it asks goes nowhere.',
  'egress.addresses':
    'A granted name leads to the open internet alone, and to what was checked; elsewhere only where an admin named the address.',
  'egress.tls': 'Under a grant for TLS a connection names the granted host in the open, or is refused.',
  'egress.http': 'Under a grant for HTTP every request of a connection is for the granted host.',
  'egress.clients':
    'Node, Python, curl and plain TCP reach granted hosts unchanged, whichever kind of socket they take.',
  'egress.bytes':
    'Bytes pass the border as they are, as fast as they are taken, and each end may stop speaking before the other.',
  'egress.calls': 'Between calls nothing moves across the border, unless that was granted.',
  'egress.bounded':
    'Connections, their pace, their time and names of a sandbox are bounded; floods end its network.',
  'egress.closed': 'What is taken back is cut within a second.',
  'egress.audit':
    'Each refusal and each first contact is on record in a sentence; a flood of them is counted.',
  'sandbox.hosts':
    'A skill reaches the hosts and ports that were granted, from Node, Python and plain programs alike, and nothing else.',
  'sandbox.network-apart':
    'A skill has no power over its network, and the network of one is not there for another.',
  'sandbox.network-ends':
    'A network ends with its process and nothing of it stays: no helper, no descriptor, no listener.',
  'sandbox.network-while-called': 'Between calls the network of a skill is shut, unless it may work then.',
  'sandbox.certificates':
    'Certificates that an admin adds are trusted in sandboxes, whatever program asks; a broken file stops the start.',
  'sandbox.network-ahead': 'A network is made before a start needs it, and one that failed delays nothing.',
  'sandbox.local-sockets':
    'A skill that was granted a folder of the host reaches no local socket, neither one that lies in a folder nor any other.',
  'folders.that-very-one':
    'A granted folder is the one that was approved: by inode and birth, whatever lies at its path, is linked there or is swapped while it is being mounted.',
  'folders.never-the-hubs':
    'No name, link or bind mount of the hub’s home, or of what lies in or around it, is granted.',
  'folders.held-back':
    'In a folder that a skill may write, what other programs run by themselves is read-only unless its grant names it, also where it does not exist.',
  'folders.nothing-left-behind':
    'What stood in for files that do not exist is gone with the sandbox, also when the hub was killed.',
  'folders.no-way-out':
    'Links, renames, devices, set-uid files and pipes in a granted folder lead out of nothing.',
  'folders.read-only-tools':
    'The tools of a stateless skill that only read run where every folder is read-only, and only then is that called enforced.',

  // runner
  'runner.single-flight': 'However many calls wait for a skill, it is started once.',
  'runner.per-user': 'Two users never share a process of a skill.',
  'runner.cancel':
    'A cancelled call is cancelled in the skill, too; a skill that then shows no life is ended.',
  'runner.idle-stop': 'A skill that nobody calls is ended after a while.',
  'runner.cap': 'Running skills are bounded: an idle one makes room, a working one never does.',
  'runner.epoch':
    'What may be done no longer is done by no process that is still allowed it: changed grants drain old children.',
  'runner.close': 'When the hub ends, no process of any skill is left.',
  'runner.surface':
    'A skill that no longer says what was approved is ended, and the differences are reported.',
  'runner.hang': 'A hung skill is timed out and ended; the next call works.',
  'runner.start-deadline': 'A skill that does not get ready in time is ended.',
  'runner.crash': 'A crash fails the calls in flight at once; the next call works.',
  'runner.backoff': 'A skill that keeps crashing is not started again and again, and says so quickly.',
  'runner.garbage': 'A skill that prints what is not MCP is ended.',
  'runner.max-life': 'No process of a skill lives longer than a bound, however busy it is.',
  'runner.flood': 'An answer of any size costs the hub no more memory than its bound.',
  'runner.pace': 'A skill that talks without end is read no faster than leaves the hub to others.',
  'runner.stderr': 'What a skill says on standard error reaches log and errors bounded, without its secrets.',

  'runner.warm':
    'Skills that were used last stay ready within their memory; of the others each is ended once idle.',
  'runner.memory': 'Running skills keep within their memory: the idle one used least recently leaves first.',
  'runner.growth': 'Whoever grows beyond the memory leaves first, and never another for it.',
  'runner.one-start': 'The first call after a start of the hub pays for one start of its skill, or for none.',
  'runner.turns':
    'Starts take turns, so that many at once are all ready in their time; one that hangs holds up no other.',
  'runner.ahead':
    'Skills that were used before a restart are started ahead where that is wanted, behind everything else.',

  // remote skills
  'remote.both-eras':
    'A remote server is used in the revision that its manifest names: calls, progress, cancellation, questions, changes.',
  'remote.surface': 'A remote server that no longer says what was approved is left, and reported.',
  'remote.bounded': 'Whatever a remote server sends, a message costs the hub no more than its bound.',
  'remote.faults':
    'A remote server that refuses, breaks off or forgets its sessions fails the calls concerned; the next call works.',
  'remote.headers':
    'Arguments are repeated in headers where a tool asks for it, and a tool that asks for impossible ones is left out.',
  'remote.sign-in':
    'A user signs in at the authorization server of a remote skill; a refresh or a wider scope follows by itself.',
  'remote.nobody-asked':
    'A call that needs a sign-in which nobody is there for fails and says how to sign in; nothing is registered for it.',
  'remote.token-stays': 'A token goes to the server it is for, and to no log, error or other origin.',
  'remote.product':
    'A remote skill is packed with what its server says, installed by approval without being asked, and used like any other.',
  'remote.said':
    'Whoever is shown a remote skill reads that what runs there cannot be verified; its tools ask.',
  'remote.addresses':
    'A remote skill and its authorization server lead to the open internet and over TLS alone, whatever names and redirects say.',

  // mcp endpoint
  'mcp.clients':
    'Clients of both SDKs and both protocol eras list, call, get progress and cancel on the same address.',
  'mcp.cancel':
    'A client that cancels, or goes away in the middle of a 2026-07-28 request, cancels in the skill.',
  'mcp.errors':
    'A fault of the request is a JSON-RPC error; a call that only failed is a result that a model can act on.',
  'mcp.no-self-approval': 'No error that reaches an agent helps it to approve its own call.',
  'mcp.token': 'Nothing answers without a token that is known and has not expired.',
  'mcp.dns-rebinding': 'A foreign Host or Origin reaches nothing.',
  'mcp.bounds': 'Bodies that are too large, too deep or no JSON are refused.',
  'mcp.sessions':
    'A session belongs to one client at one door, ends when told to, and does not stay for ever.',
  'mcp.sessions-rest': 'A session goes on after a rest where it was, and a rest ends no call.',
  'mcp.changes': 'A client is told that a list changed when its own view changed, and never of others.',
  'mcp.headers': 'Mcp headers that say something else than the body are refused.',
  'mcp.requests-bounded': 'A client has only so many requests in hand, and others are answered meanwhile.',
  'mcp.bounded': 'What the hub keeps ready for clients is bounded, however many users and scopes come by.',
  'mcp.removed-client': 'Removing a client ends what it has open.',

  // tasks
  'tasks.slow': 'A call becomes a task when it takes long, and never is made twice.',
  'tasks.durable': 'A task is on disk before its client hears of it, and tells how its call ended.',
  'tasks.states': 'A task that has ended never changes, and takes answers only to what it has asked.',
  'tasks.first':
    'What is asked before there is a task is asked in the call; it may become a task after the answers.',
  'tasks.input': 'What a skill asks in the middle of a task is answered through the task.',
  'tasks.cancel': 'Cancelling a task reaches the skill; a call that was done already stays done.',
  'tasks.owner': 'A task of somebody else is answered like one that never was.',
  'tasks.restart':
    'After a restart the ending of a task is still there; of one without an ending the outcome is unknown.',
  'tasks.expire': 'A task is kept for its time, not less and not more.',
  'tasks.bounded': 'A client has only so many tasks, and so many bytes of results.',
  'tasks.declared': 'A client that did not say that it knows tasks never sees one.',
  // skills extension
  'skills.entry': 'A skill is listed with the digests that were signed, its signer, version and permissions.',
  'skills.served': 'A host of either era lists, gets and verifies every file of each approved skill.',
  'skills.directories': 'The folders of a skill list what lies directly in them.',
  'skills.bounds': 'A package that is no Agent Skill within the bounds of the extension is not shown as one.',
  'skills.only-serving': 'Nothing of a quarantined or blocked skill is listed or read as a skill.',
  'skills.no-impostor': 'No skill can offer anything under the skill:// URI of another, installed or not.',
  'skills.files-rechecked': 'A file of a skill is read only while its bytes are the signed ones.',
  'skills.recorded': 'Reading a skill is decided and on record, and starts nothing.',
  'skills.inspector': 'The MCP Inspector verifies the listed skills in both eras.',

  // what a client is shown
  'search.recall':
    'At least 95 % of realistic queries, of those tuned on and those held out, find a right tool among the first five.',
  'search.small': 'A client in search mode lists at most 1,000 tokens, however many tools there are.',
  'search.bounded': 'No tool and no query can make a search slow or fail.',
  'exposure.search':
    'In search mode a client finds, looks up and calls exactly the tools that it would have listed.',
  'exposure.same-path':
    'A call through call_tool is checked, decided and recorded as a call of the tool itself.',
  'exposure.profile': 'What a profile hides is not listed, found or reached by its client, at any door.',
  'exposure.once': 'An index is built once for each change of what is seen, never for each search.',
  'exposure.kept':
    'What a client is shown and what is in a profile is on record, and the same after a restart.',
  'mcp.rate': 'Each client has a rate of its own, and a refusal says how long to wait.',

  // tokens of authorization servers
  'oauth.accepts':
    'An access token of a configured authorization server gets in, in both eras, beside the hub’s own tokens.',
  'oauth.refuses':
    'An access token that is expired, foreign, for another audience, of another kind or not well signed is refused.',
  'oauth.challenge': 'Whoever is not let in is told where to get a token, and with which scope.',
  'oauth.users-apart': 'No authorization server can name the local user or a user of another one.',
  'oauth.keys':
    'Keys of an authorization server are rotated without a restart, and nobody can make the hub ask for them without end.',
  'oauth.fails-closed':
    'When the keys of an authorization server cannot be had safely, no token of it is accepted.',
  'oauth.scopes': 'A token shows and opens what its scopes map to, and what it lacks is named.',
  'oauth.config': 'Settings that would make a token easier to forge or to steal stop the start.',
  'oauth.no-passthrough': 'No request header of a client reaches a skill’s environment or standard input.',
  // the bridge for clients on a pipe
  'proxy.both-eras':
    'Clients on a pipe, of both SDKs and both protocol eras, do through `berth proxy` what others do over HTTP.',
  'proxy.unchanged': 'The bridge hands on messages as they are, in both directions.',
  'proxy.hub-restarts':
    'A client on a pipe outlives its hub: it is told what did not happen, and works on when the hub is back.',
  'proxy.token-in-home': 'A client on a pipe needs no token in its settings; its token goes with the client.',
  'proxy.ends': 'The bridge ends with its client, after the last answer or at once when told to.',
  'proxy.bounded': 'Lines that are too long, or no messages, and too many requests are refused one by one.',

  // install, call, catalog, approvals
  'catalog.names': 'Tools are named <alias>__<tool> at /mcp, and each name leads back to its skill.',
  'catalog.name-form':
    'Names at /mcp fit every client: at most 64 letters, digits, _ and -, unique, and the same whoever else comes.',
  'catalog.only-serving': 'Nothing of a quarantined or blocked skill is shown to a client.',
  'mcp.pages':
    'Long lists come in pages, in order, with nothing lost and nothing twice, and short ones whole.',
  'mcp.cursors':
    'A cursor is good for one client, door and list as it was; any other is refused and says to list again.',
  'mcp.apps':
    'MCP Apps pass through whole: the app of a tool is found and read, and what it may do is as its skill said.',
  'catalog.uris':
    'At /mcp each URI or template of a resource leads to one skill, is of its own scheme, and is the same wherever it is said.',
  'catalog.uris-stable': 'A skill that comes later changes no URI of another, and a mark holds whoever goes.',
  'catalog.order': 'Lists are in the same order for the same skills.',
  'install.serves':
    'A skill serves only after its proposal was approved, and a settled proposal cannot be answered again.',
  'install.needs':
    'A missing workspace, value or secret is named with its flag, all at once, and nothing is changed.',
  'install.environment': 'A skill sees the variables that were granted to it and no other of the hub.',
  'install.narrowed': 'A permission that the admin refused is not granted, now or by a later upgrade.',
  'install.allowed-hosts':
    'Hosts that a manifest leaves open are named at the install, kept by upgrades, and each is a grant of its own.',
  'grants.cut': 'A host that is taken back is cut from the skill within a second, calls in flight or not.',
  'install.network-blocked':
    'Where hosts cannot be granted, a skill that asks for network installs, says so, and does not start.',
  'install.wider-waits': 'An upgrade that widens anything waits while the old version serves.',
  'install.no-downgrade': 'A version older than the one that serves is never taken in silence.',
  'install.signer-change': 'Another signer of a namespace is never accepted in silence.',
  'install.files-rechecked': 'Installed files are checked at every start of a skill.',
  'install.quarantine':
    'A skill whose live surface is not the approved one is quarantined with the evidence.',
  'install.surface-signed': 'A package that says something else than was signed is not installed.',
  'install.lying-registry': 'Nothing that a registry says is believed unless it is signed and fits.',
  'install.registry-pinned': 'A registry that shows another key than when it was first seen is refused.',
  'clients.names': 'No client can pass for the admin’s command line.',
  'clients.removal':
    'A removed client is refused from that moment on, even if the removal could not be written.',
  'grants.revoke': 'A revoked permission is gone from the next call on.',
  'call.one-path': 'No path reaches a skill around hub/call.ts.',
  'call.recorded': 'A call is durably on record before its effect, and its end is, too.',
  'call.result-kept': 'The result of a call is not lost when its end cannot be recorded.',
  'call.policy': 'A call that policy denies, asks about or cannot answer does not happen.',
  'call.epoch': 'A call decided on grants that changed meanwhile does not happen.',
  'call.no-self-approval':
    'No text that reaches an agent names a command, link or secret that approves its own call.',
  'call.arguments-checked':
    'Arguments are checked against the approved schema before policy decides on them.',
  'call.patterns-linear': 'A pattern in a skill’s schema cannot make the hub hang.',
  'call.schemas-bounded': 'No schema of a skill and no arguments can make the hub hang.',
  'call.redacts-secrets':
    'The value of a secret never stays in a result, an error, a progress report or an audit record.',
  'sandbox.no-injection': 'No value of an author or admin becomes an option of the sandbox.',
  'call.progress-bounded': 'A skill that reports progress without end fills nobody’s memory.',
  'hub.disk-full':
    'On a full disk nothing happens that cannot be recorded, and nothing that was there is lost.',
  'hub.leftovers': 'No secret of a skill that is not installed outlives the next start.',
  'hub.admin-folder': 'The admin socket and the database are reached by the hub’s own account alone.',
  'call.result-bounded': 'A result over the bound is refused, and says what to do.',

  'hub.no-sandbox': 'Without a usable sandbox the hub says so and runs no skill.',
  'hub.killed-mid-call':
    'No process of a skill outlives its hub by two seconds, and an open call is closed as unknown.',
  'hub.killed-install': 'A hub killed at any step of an install has nothing half there after the restart.',
  'hub.killed-call':
    'A hub killed at any step of a call has an honest end of that call on record after the restart.',
  'hub.neighbours':
    'Skills that hang, crash, flood, read nothing, print garbage, fork or eat memory, alone and all at once, fail with a typed error and fail no call of another.',
  'hub.connects-at-once': 'A client connects and lists without any skill being waited for.',
  'hub.breaker':
    'A skill that crashes at every start is started ever less often, its calls fail at once, and it is back within two seconds of being mended.',
  'hub.busy': 'What a skill cannot take is refused as busy, not kept.',
  'hub.sessions-flat': 'A thousand sessions leave no process and no open file behind.',
  'hub.drain':
    'A hub that is told to stop takes nothing new, finishes the calls in flight, to the last byte, and leaves no process.',
  'hub.drain-limit':
    'Once its time is up, or at a second signal, a hub that stops breaks off what is left, with an answer and a record.',
  'hub.killed-waiting':
    'After a kill, a call that waited for an answer is refused in words, a task that went on has failed as unknown, and nothing runs on.',
  'hub.killed-busy':
    'A hub killed under 64 busy clients leaves no process and an audit log that verifies, and serves again.',

  // audit
  'audit.chain': 'The audit log is one unbroken chain across restarts, and verifies whole.',
  'audit.signed-heads':
    'The head of the audit log is signed at least every 256 records and at every clean stop.',
  'audit.disk-lost':
    'Once the disk has not taken a record, nothing is recorded any more, and nothing called, until a restart.',
  'audit.one-by-one': 'A record that cannot be written fails alone, and any number at once is written.',
  'audit.beside': 'Verifying the audit log stops nobody from working, and work is no false alarm.',
  'audit.fail-closed': 'What cannot be recorded does not happen.',
  'audit.tampering':
    'Editing, deleting, reordering or inserting an audit row is found, and the row is named.',
  'audit.first-bad':
    'An edited, deleted, reordered or inserted audit record is found, and the first bad one is named.',
  'audit.signed': 'What lies before a signed head cannot be rewritten without the key of the hub.',
  'audit.sentences': 'Every audit record reads as one sentence of plain text.',

  // cli
  'cli.json': 'Every command answers --json with one envelope on stdout, usage faults included.',
  'cli.help': 'Every command has a summary, working examples and --json; unknown flags end with exit code 2.',
  'cli.exit-codes':
    'Each error ends with its exit code of the table, and `berth help exit-codes` lists them all.',
  'cli.no-raw-controls': 'Text from skills and servers reaches a terminal without control characters.',
  'cli.asks-only-people':
    'Without a terminal nothing is asked: the command ends with exit 2 naming the flag.',
  'cli.secrets-not-argv': 'A secret is never taken from the command line and never repeated in a message.',
  'cli.token-stays': 'A token is sent only to the registry it belongs to.',
  'cli.init-packs': 'What `berth init` writes packs and passes its check as it is, without npm install.',
  'cli.up':
    'One `berth up` serves a home at a time, says its URLs first, and leaves nothing running when it stops.',
  'cli.first-day':
    'init, publish, install and call work one after the other; the same bytes give the same receipt.',
  'cli.upgrade-waits': 'A version that wants more waits for its own approval while the old one serves.',
  'cli.undo': 'Every change names the command that takes it back, and that command works.',
  'cli.audit-offline': 'The audit log is verified with the hub stopped, and a changed record is named.',
  'cli.pack-deterministic': 'The same sources give the same archive, wherever they lie.',
  'cli.pack-inside':
    'A package never carries a file from outside its project, be it imported, linked or listed.',
  'cli.pack-sandboxed':
    'Packing runs a skill only in the sandbox: no network, no environment, no files of the machine.',
  'cli.pack-python':
    'A Python skill is packed with exactly the wheels that its lock names by digest; nothing is downloaded, and no installer runs.',
  'cli.pack-binary': 'A binary is packed only when it is an executable for Linux and this processor.',
  'sandbox.python-fits':
    'A package whose compiled modules are for another Python is refused with the one that it needs.',
  'cli.verify-offline':
    'An archive is verified against its signature without any server, and any change is found.',

  'cli.publish-again':
    'The same publication answers the same receipt; other bytes under a version are refused.',
  'cli.first-party': 'Berth’s own skills are there after the first start and work.',

  'mcp.one-behaviour': 'What the fast lane answers is what the SDK answers, for whatever request.',
  'call.exact-values':
    'A request whose numbers or strings parsing would change is refused; what was decided on is what is sent.',
  'mcp.asks':
    'Forms, sampling and roots reach the caller of a skill mid-call between every pair of protocol eras.',
  'mcp.asks-apart': 'What one caller answers never reaches the call of another.',
  'mcp.asks-bound':
    'A call that waits for input goes on once, only for its own principal and request, and only in time.',
  'mcp.asks-labelled':
    'A question of a skill names the skill, asks for no secret, and leads to no address of the hub.',
  'mcp.subscriptions':
    'Who asked to hear of a resource hears of its changes, in every pair of eras, and the skill is asked once.',
  'mcp.logging': 'Log messages of a skill reach only who asked for them, from the level asked for.',
  'cli.client-entries':
    'The printed settings of each client are in its own form, with a token only where it needs one.',

  'mcp.real-clients':
    'The v1 client and the v2 client (legacy, auto, modern) list, call, hear progress and cancel.',
  'mcp.inspector': 'The MCP Inspector lists and calls in both eras.',
  // adopting servers that a client has
  'adopt.configs':
    'The settings of Claude, VS Code, Cursor and Codex are read in the forms that their documentation names, and nothing in them is run.',
  'adopt.four':
    'The four reference servers, adopted from the settings of a client, work as skills through its one Berth entry.',
  'adopt.least': 'An adopted server is granted what it was seen to need, and nothing else.',
  'adopt.report':
    'Before anybody decides it is said what a server could reach, what was seen, how that is known, and what is proposed.',
  'adopt.secrets':
    'Secrets in the settings of a client go to the hub alone: none is in the package, in an argument, in an answer or in a message.',
  'adopt.refuses':
    'What cannot be made a skill is refused with the reason, by itself, and the settings stay as they are.',
  'adopt.replace':
    'Replacing settings of a client changes nothing but the adopted servers, whole or not at all, and keeps a backup.',
  'adopt.undo': 'Replaced settings are put back byte for byte, and never over a later change.',
  'adopt.sandboxed':
    'Nothing of an adopted server runs outside the sandbox while it is looked at, no install script either.',

  'mcp.reference-servers':
    'The reference servers of MCP, packed as skills, work through the hub from every client in both eras.',
  'sandbox.only-granted-files':
    'A skill reads what lies in its granted folder and nothing else, by any path.',

  'dev.refused':
    'berth dev shows each refused folder, host, program and variable, and nothing that the runtime does by itself.',
  'dev.grants':
    'One key adds what was refused to skill.json with a reason, the rest of it untouched; it can be undone.',
  'dev.reloads': 'berth dev starts the skill again when its sources change.',
  'dev.records': 'berth dev --record writes exactly what the session used: the least that lets it run again.',
  'dev.serves': 'berth dev --stdio is an MCP server for a client, across restarts of the skill.',
  'dev.exit':
    'A development run that a script makes fails when nothing started or a call of its command line got no answer.',
  'dev.unused': 'berth check names what is asked and was never used in the recorded session and its tests.',

  // skills
  'skills.declared': 'Our own skills declare every tool, and manifest and annotations agree on what it does.',
  'skills.sandboxed': 'Our own skills work in the real sandbox with the permissions and limits they declare.',
  'skills.git-runs-nothing':
    'The git skill runs no program that a repository names, whatever its configuration says.',
  'skills.git-no-options':
    'No revision, path, name or filter given to the git skill becomes an option of git.',
  'skills.git-reads': 'Looking with the git skill changes not one byte of a repository.',
  'skills.git-commit':
    'The git skill commits exactly what was named, in the right name, writing no configuration, and can take it back.',
  'skills.git-bounded': 'No repository floods the answers of the git skill or hangs it.',
  'skills.files-inside': 'The files skill never reads or changes anything outside the granted folder.',
  'skills.files-big': 'The files skill reads any part of a file bigger than its memory.',
  'skills.files-search-linear': 'No search expression or glob can hang the files skill.',
  'skills.files-preview': 'The files skill shows a unified diff of a change before it is made.',
  'skills.files-concurrent': 'Concurrent changes of one file are neither lost in silence nor mixed.',
  'skills.tables-read-only':
    'No SQL given to the tables skill changes anything or opens anything but the files of the folder.',
  'skills.tables-exact':
    'The tables skill loads values exactly: big integers, leading zeros, decimals and times keep their digits.',
  'skills.tables-bounded':
    'No file and no query brings the tables skill down, hangs it or floods the answer.',
  'skills.web-hosts':
    'The web skill fetches from granted hosts alone, also over redirects, and says which they are.',
  'skills.web-robots': 'The web skill fetches nothing that a site’s robots.txt forbids, or does not say.',
  'skills.web-markdown':
    'The web skill answers articles, pages, texts and PDFs as Markdown, in parts where they are long.',
  'skills.web-hostile':
    'No page, however large, slow, deep, packed, endless or mislabelled, holds up the web skill or brings it down.',
  'skills.web-untrusted':
    'What a page says is marked as its words: it cannot end the mark, or say what nobody sees.',
  'skills.web-installed':
    'Installed with a host, the web skill fetches it from a running hub and nothing else; what it wanted beyond is on record, and what is taken back is cut.',
  'skills.memory-durable': 'A note that was acknowledged is there, whole, after the memory skill is killed.',
  'skills.memory-once':
    'An add retried with the same requestId makes one note, also across processes and crashes.',
  'skills.memory-shared': 'Several processes of one user share their notes and never overwrite each other.',
  'skills.memory-forget': 'A forgotten note is found no more and can be restored for thirty days.',
  'skills.files-trash':
    'What the files skill deletes can be restored, and nothing is overwritten in silence.',
} as const satisfies Record<string, string>;

export type RequirementId = keyof typeof REQUIREMENTS;
