import type { AuditEvent } from './events.ts';

/** A record as one sentence for a person: one line, without control characters, whoever wrote the parts. */
export function describeRecord(record: AuditEvent): string {
  return sentenceOf(record)
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
}

function sentenceOf(record: AuditEvent): string {
  switch (record.event) {
    case 'call.decided':
      return sentenceOfDecision(record);
    case 'call.asked':
      return `${record.name} on ${record.skill} ${ASKED[record.method] ?? 'asked something'}: ${record.question}`;
    case 'call.finished':
      return sentenceOfEnd(record);
    case 'task.created':
      return `${record.client} (${record.user}) was given a task for its call of ${record.tool}`;
    case 'task.cancelled':
      return `${record.client} (${record.user}) cancelled the task of its call of ${record.tool}`;
    case 'install.proposed':
      return `${record.skill} ${record.version}, signed by ${shortKeyIn(record.signer)}, waits for approval (${record.approval})`;
    case 'install.approved':
      return `${record.by} approved ${record.skill} ${record.version}: ${listOf(record.grants, 'no permissions')}; ${toolsOf(record.tools)}`;
    case 'install.denied':
      return `${record.by} refused ${record.skill} ${record.version}${because(record.reason)}`;
    case 'upgrade.waiting':
      return `${record.skill} ${record.version} wants more than ${record.serving}, which goes on serving (${record.approval}): ${listOf(record.wants, 'another surface')}`;
    case 'skill.started':
      return `${record.skill} ${record.version} started${record.unsandboxed === true ? ' WITHOUT A SANDBOX' : ''} for ${record.user}${process(record.pid)}`;
    case 'program.used':
      return `${record.skill} ${record.version} may run ${record.program} for ${record.user}: ${record.path}, ${record.digest.slice(0, 19)}\u2026`;
    case 'skill.stopped':
      return `${record.skill} ${record.version} stopped for ${record.user}${process(record.pid)}: ${record.reason.replace(/\.$/, '')}`;
    case 'skill.quarantined':
      return `${record.skill} ${record.version} was quarantined: ${record.reason} (${listOf(record.differences, 'no details')})`;
    case 'skill.removed':
      return `${record.by} removed ${record.skill} ${record.version}, ${record.data ? 'with' : 'but kept'} what it had stored`;
    case 'grant.revoked':
      return `${record.by} took a permission back from ${record.skill}: ${record.sentence}`;
    case 'tool.answer-changed':
      return `${record.by} changed ${record.tool} of ${record.skill} from ${record.before} to ${record.answer}`;
    case 'user.signed-in':
      return `${record.user} signed in for ${record.skill}, with tokens of ${record.issuer}`;
    case 'user.signed-out':
      return `${record.user} signed out from ${record.skill}; the tokens were forgotten`;
    case 'secret.used':
      return `${record.skill} was handed the secret ${record.secret} for ${record.user}`;
    case 'network.reached':
      return sentenceOfContact(record, 'reached');
    case 'network.refused':
      return `${sentenceOfContact(record, 'tried to reach')} ${refusedAs(record)}`;
    case 'client.added':
      return `${record.by} added the client ${record.client}, which acts for ${record.user}${record.shown === undefined ? '' : ` and is shown ${shownAs(record.shown)}`}`;
    case 'client.shown':
      return `${record.by} chose that the client ${record.client} is shown ${shownAs(record.shown)}`;
    case 'client.removed':
      return `${record.by} removed the client ${record.client}, which acted for ${record.user}`;
    case 'profile.set':
      return `${record.by} made the profile ${record.profile} of ${listOf(record.entries.map(entryAs), 'nothing')}`;
    case 'profile.removed':
      return `${record.by} removed the profile ${record.profile}`;
    case 'hub.started':
      return record.unfinished.length === 0
        ? 'The hub started'
        : `The hub started; ${count(record.unfinished.length, 'call')} of the last run never ended, outcome unknown`;
    case 'hub.stopped':
      return 'The hub stopped';
    case 'registry.pinned':
      return `The hub trusts the registry ${record.registry} from now on, by its key ${short(record.keyId)}`;
  }
}

type Event<Name extends AuditEvent['event']> = Extract<AuditEvent, { event: Name }>;

const DID = {
  tool: ['called', 'wanted to call'],
  prompt: ['took the prompt', 'wanted the prompt'],
  resource: ['read', 'wanted to read'],
  subscription: ['asked to be told of changes of', 'wanted to be told of changes of'],
  completion: ['asked for completions of', 'wanted completions of'],
} as const;

const ASKED: Readonly<Record<string, string>> = {
  'elicitation/create': 'asked its user',
  'sampling/createMessage': "asked the client's model",
  'roots/list': 'asked for the roots of the client',
};

const ANSWERED = { allow: 'allowed', ask: 'not done, it needs an approval', deny: 'denied' } as const;

function sentenceOfDecision(record: Event<'call.decided'>): string {
  const { user, client, agent } = record.principal;
  const who = `${client} (${agent === undefined ? user : `${user}, agent ${agent}`})`;
  const did = DID[record.what][record.answer === 'allow' ? 0 : 1];
  const why = because(record.reasons.map((reason) => reason.text).join('; '));
  return `${who} ${did} ${record.name} on ${record.skill} ${record.version}: ${ANSWERED[record.answer]}${why}`;
}

function sentenceOfEnd(record: Event<'call.finished'>): string {
  const what = `${record.name} on ${record.skill}`;
  const time =
    record.durationMs < 1000
      ? `${Math.round(record.durationMs)} ms`
      : `${(record.durationMs / 1000).toFixed(1)} s`;
  const detail = because(record.detail);
  switch (record.outcome) {
    case 'ok':
      return `${what} finished in ${time}${record.bytes === undefined ? '' : ` with ${count(record.bytes, 'byte')}`}`;
    case 'error':
      return `${what} failed after ${time}${detail}`;
    case 'cancelled':
      return `${what} was cancelled after ${time}`;
    case 'timeout':
      return `${what} took too long and was stopped after ${time}`;
    case 'crashed':
      return `${what} ended after ${time} because the skill stopped${detail}`;
    case 'unknown':
      return `${what} has an unknown outcome${detail}`;
  }
}

function sentenceOfContact(
  record: Event<'network.reached'> | Event<'network.refused'>,
  verb: 'reached' | 'tried to reach',
): string {
  const { skill, user, host, port, address, count: more } = record;
  const place = [
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(address === undefined || address === host ? [] : [`at ${address}`]),
  ].join(', ');
  const where = `${host === '*' ? 'other hosts' : host}${place === '' ? '' : ` (${place})`}`;
  const times = more === undefined ? '' : ` ${count(more, 'more time')}`;
  return `${skill} ${verb} ${where} for ${user}${times}`;
}

function refusedAs({ reason, named }: Event<'network.refused'>): string {
  const instead = named === undefined ? 'another host' : named;
  switch (reason) {
    case 'host-not-granted':
      return 'and was refused: it is not among its hosts';
    case 'port-not-granted':
      return 'and was refused: it has that host, but not on that port';
    case 'between-calls':
      return 'and was refused: no call was running';
    case 'not-tls':
      return 'and was refused: it did not speak TLS there';
    case 'not-http':
      return 'and was refused: it did not speak plain HTTP there that has but one meaning';
    case 'no-name':
      return 'and was refused: it did not name the host inside the connection';
    case 'other-name':
      return `and was refused: inside the connection it named ${instead}`;
    case 'too-slow':
      return 'and was refused: it did not say in time whom it wanted';
    case 'name-unknown':
      return 'and did not: the name leads to no address';
    case 'address-not-public':
      return 'and was refused: that is no address of the open internet';
    case 'own-address':
      return 'and was refused: that is an address of this machine';
    case 'own-door':
      return 'and was refused: the hub or its registry answers there';
    case 'other-address':
      return 'and was refused: that is not the address that was granted';
    case 'unreachable':
      return 'and did not: nothing answers there';
    case 'too-many-names':
      return 'and was refused: it has asked for too many names';
    case 'too-many-connections':
      return 'and was refused: it has too many connections, or opens them too fast';
    case 'flood':
      return 'and lost its network until it is started again: it flooded the hub';
  }
}

function shownAs({ mode, profile }: Event<'client.shown'>['shown']): string {
  const what = profile === undefined ? 'everything' : `the profile ${profile}`;
  return mode === 'search' ? `a search over ${what}` : what;
}

function entryAs({ skill, tools }: Event<'profile.set'>['entries'][number]): string {
  return tools === undefined ? skill : `${tools.join(', ')} of ${skill}`;
}

function toolsOf(tools: Event<'install.approved'>['tools']): string {
  const named = (answer: 'allow' | 'ask' | 'deny', word: string) => {
    const names = tools.filter((tool) => tool.answer === answer).map((tool) => tool.name);
    return names.length === 0 ? [] : [`${word} ${names.join(', ')}`];
  };
  return listOf(
    [...named('allow', 'allows'), ...named('ask', 'asks before'), ...named('deny', 'denies')],
    'no tools',
  );
}

function listOf(parts: readonly string[], none: string): string {
  return parts.length === 0 ? none : parts.map((part) => part.replace(/\.$/, '')).join('; ');
}

/** Whoever wants the whole id finds it in the record. */
function short(keyId: string): string {
  return keyId.length <= 12 ? keyId : `${keyId.slice(0, 8)}\u2026`;
}

function shortKeyIn(signer: string): string {
  return signer.startsWith('key:') ? `key:${short(signer.slice('key:'.length))}` : signer;
}

function because(reason: string | undefined): string {
  return reason === undefined || reason === '' ? '' : ` \u2013 ${reason.replace(/\.$/, '')}`;
}

function process(pid: number | undefined): string {
  return pid === undefined ? '' : ` (process ${pid})`;
}

function count(many: number, unit: string): string {
  return `${many} ${unit}${many === 1 ? '' : 's'}`;
}
