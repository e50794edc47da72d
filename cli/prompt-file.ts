import { SkillCatalogError, skillEntry } from '@modelcontextprotocol/server/ext/skills';
import { AppError } from '../protocol/errors.ts';

/**
 * Checks the head of a SKILL.md (Agent Skills): front matter with `name`, equal to the last word of the skill's
 * name, and a `description`; the rest as hosts of the Skills extension will read it.
 * @throws AppError `pack-failed` with every fault in `data.faults`.
 */
export async function checkInstructions(bytes: Uint8Array, skillName: string): Promise<void> {
  const text = new TextDecoder().decode(bytes);
  const head = /^---\r?\n([\s\S]*?)\r?\n---(?:\r?\n|$)/.exec(text)?.[1];
  const expected = skillName.slice(skillName.indexOf('/') + 1);
  const simple =
    head === undefined
      ? [
          fault(
            'has no front matter',
            `Begin it with:\n---\nname: ${expected}\ndescription: What it is for.\n---`,
          ),
        ]
      : [
          ...(fieldOf(head, 'name') === expected
            ? []
            : [fault('has another name than the skill', `Write: name: ${expected}`)]),
          ...(fieldOf(head, 'description')
            ? []
            : [fault('has no description', 'Write: description: What it is for.')]),
        ];
  const faults = simple.length > 0 ? simple : await faultsForHosts(bytes, skillName);
  if (faults.length === 0) return;
  throw new AppError('pack-failed', {
    detail: 'SKILL.md is not a skill that a model can be shown.',
    hint: 'Correct its front matter.',
    data: { faults },
  });
}

/** What makes a host refuse the file, in the words of the SDK that most of them use. */
async function faultsForHosts(bytes: Uint8Array, skillName: string) {
  try {
    await skillEntry(skillName, { 'SKILL.md': bytes });
    return [];
  } catch (error) {
    if (!(error instanceof SkillCatalogError)) throw error;
    return error.problems.map(({ message }) =>
      fault(message, 'Write it as agentskills.io/specification says.'),
    );
  }
}

function fault(problem: string, remedy: string) {
  return { path: 'SKILL.md', problem, remedy };
}

/** A top-level field of simple YAML: plain, quoted, or folded over the lines below it. */
function fieldOf(head: string, field: string): string | undefined {
  const lines = head.split(/\r?\n/);
  const at = lines.findIndex((line) => line.startsWith(`${field}:`));
  if (at < 0) return undefined;
  const value = (lines[at] ?? '').slice(field.length + 1).trim();
  if (value !== '' && !/^[|>][+-]?$/.test(value)) return value.replace(/^(["'])(.*)\1$/, '$2');
  const below = lines.slice(at + 1);
  const end = below.findIndex((line) => /^\S/.test(line));
  return below
    .slice(0, end < 0 ? below.length : end)
    .join(' ')
    .trim();
}
