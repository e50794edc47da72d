import type { ApprovalView, InstalledSkillView } from '../hub/admin-api.ts';
import { assurance } from '../protocol/permissions/sentences.ts';
import type { Paint } from './command.ts';

/** A sentence about a permission with the places that a person knows instead of the manifest's words for them. */
export function inPlace(sentence: string, workspace?: string): string {
  return sentence
    .replaceAll('${workspace}', workspace ?? 'the folder you choose for it')
    .replaceAll('${data}', 'its own data folder')
    .replaceAll(/\$\{config\.([^}]*)\}/g, 'the setting $1');
}

/** What a skill can, cannot and asks first: whole sentences, as the hub and the registry say them. */
export function permissionLines(
  paint: Paint,
  {
    can,
    cannot,
    asksFirst = [],
  }: { can: readonly string[]; cannot: readonly string[]; asksFirst?: readonly string[] },
): string[] {
  return [
    ...can.map((sentence) => `${paint.warn('+')} ${inPlace(sentence)}`),
    ...asksFirst.map((sentence) => `${paint.strong('?')} ${sentence}`),
    ...cannot.map((sentence) => `${paint.good('-')} ${inPlace(sentence)}`),
  ];
}

const ANSWER_WORDS = { allow: 'auto', ask: 'ask', deny: 'off' } as const;

/** Tools with what they do and how they are answered, one line each. */
export function toolLines(
  paint: Paint,
  tools: readonly {
    name: string;
    effects: readonly string[];
    enforced?: boolean;
    answer?: 'allow' | 'ask' | 'deny';
  }[],
): string[] {
  if (tools.length === 0) return [];
  const width = Math.max(...tools.map((tool) => tool.name.length));
  return [
    paint.strong('Tools'),
    ...tools.map(({ name, effects, enforced, answer }) => {
      const word = answer === undefined ? '' : `  ${ANSWER_WORDS[answer].padEnd(4)}`;
      const held = enforced === undefined ? '' : `  ${paint.dim(assurance(enforced))}`;
      return `  ${name.padEnd(width)}${word}  ${paint.dim(effects.join(', '))}${held}`;
    }),
  ];
}

/** A proposal as the admin reads it before deciding. */
export function approvalText(paint: Paint, approval: ApprovalView): string {
  const heading = `${paint.strong(`${approval.skill} ${approval.version}`)}  ${approval.title}`;
  return [
    heading,
    approval.description,
    ...approval.verified.map((sentence) => `${paint.good('ok')} ${withShortKeys(sentence)}`),
    ...approval.unverified.map((sentence) => `${paint.bad('!!')} ${sentence}`),
    ...(approval.from === undefined ? [] : [`${approval.from} serves until you decide, as it does now.`]),
    ...(approval.widened.length === 0
      ? []
      : [paint.warn(approval.from === approval.version ? 'Not granted today:' : 'New in this version:')]),
    ...approval.widened.map((sentence) => `  ${paint.warn('!')} ${inPlace(sentence)}`),
    ...permissionLines(paint, { ...approval, can: withReasons(approval) }),
    ...toolLines(paint, approval.tools),
    ...(approval.problem === undefined ? [] : [`${paint.warn('note:')} ${approval.problem}`]),
  ].join('\n');
}

/** An installed skill in full. */
export function installedText(paint: Paint, skill: InstalledSkillView): string {
  return [
    `${paint.strong(`${skill.name} ${skill.version}`)}  ${stateWord(paint, skill.state)}`,
    ...(skill.problem === undefined ? [] : [`${paint.warn('note:')} ${skill.problem}`]),
    ...skill.unverified.map((sentence) => `${paint.bad('!!')} ${sentence}`),
    ...permissionLines(paint, skill),
    ...toolLines(paint, skill.tools),
    ...skill.notes,
  ].join('\n');
}

/** The state of a skill in its colour. */
export function stateWord(paint: Paint, state: InstalledSkillView['state']): string {
  return state === 'ready' ? paint.good(state) : state === 'blocked' ? paint.warn(state) : paint.bad(state);
}

/** Keys and digests in a hub's sentence, as short as people compare them. */
function withShortKeys(sentence: string): string {
  return sentence.replaceAll(/\bkey:([A-Za-z0-9+/]{8})[A-Za-z0-9+/]{30,}=*/g, 'the key $1\u2026');
}

/** Each permission with what its author says it is for. */
function withReasons({ can, permissions }: ApprovalView): string[] {
  return can.map((sentence) => {
    const reason = permissions.find((permission) => permission.sentence === sentence)?.reason;
    return reason === undefined ? sentence : `${sentence} (its author: ${reason})`;
  });
}
