import { basename, resolve } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { command } from '../command.ts';

/** `berth init` */
export const init = command({
  name: 'init',
  group: 'Write skills',
  summary: 'Make a new skill that packs and publishes as it is',
  arguments: { dir: { about: 'a new folder' } },
  options: {
    template: {
      type: 'text',
      value: 'node|python|prompt',
      about: 'a server in TypeScript or Python, or instructions only (node)',
    },
    name: { type: 'text', value: 'NAME', about: 'namespace/name (local.me/<dir>)' },
  },
  examples: [
    'berth init hello',
    'berth init hello --name local.me/hello',
    'berth init hello --template python',
    'berth init summary --template prompt',
  ],
  async run(context, { dir, template = 'node', name }) {
    const { initSkill, TEMPLATES } = await import('../init.ts');
    const { shellWord } = await import('../shell-word.ts');
    const folder = resolve(context.workingDirectory, dir);
    const chosen = TEMPLATES.find((known) => known === template);
    if (chosen === undefined) {
      throw new AppError('usage-invalid', {
        detail: `There is no template ${template}.`,
        hint: `Give ${TEMPLATES.map((known) => `--template ${known}`).join(' or ')}.`,
      });
    }
    const made = await initSkill(folder, { name: name ?? `local.me/${basename(folder)}`, template: chosen });
    return {
      data: { ...made, path: folder, template: chosen },
      text: made.files.map((file) => `${dir}/${file}`).join('\n'),
      undo: `rm -r ${shellWord(folder)}`,
      next: [`berth check ${shellWord(dir)}`, `berth publish ${shellWord(dir)}`],
    };
  },
});
