import { command } from '../command.ts';
import { AppError } from '../../protocol/errors.ts';
import { shortKey } from '../output.ts';
import { permissionLines, stateWord, toolLines } from '../skill-text.ts';

/** `berth info` */
export const info = command({
  name: 'info',
  group: 'Use skills',
  summary: 'What a skill is, may do and offers, and how it is held here',
  arguments: { skill: { about: 'its full name, or the alias of an installed one' } },
  options: {},
  examples: ['berth info dev.berth/files', 'berth info dev.berth/files --json'],
  async run(context, { skill }) {
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { skillParams } = await import('../names.ts');
    const { installedName } = await import('../installed-name.ts');
    // An alias is known to a running hub alone; without one the full name is what is missing.
    const params = skillParams(await installedName(context, skill).catch(() => skill));
    const offered = await context.registry(registryApi.skill, { params });
    const installed = await context.hub(adminApi.skill, { params }).catch((error: unknown) => {
      // Not installed, or no hub here: the registry's word is all there is.
      if (error instanceof AppError && ['not-installed', 'not-running', 'unavailable'].includes(error.code))
        return undefined;
      throw error;
    });
    const { unverifiable } = await import('../../protocol/manifest.ts');
    const notice = unverifiable(offered.kind);
    const { paint } = context;
    return {
      data: { ...offered, ...(installed === undefined ? {} : { installed }) },
      text: [
        `${paint.strong(offered.name)}  ${offered.title}`,
        offered.description,
        `${offered.license}${offered.repository === null ? '' : `  ${offered.repository}`}`,
        ...(notice === undefined ? [] : [`${paint.bad('!!')} ${notice}`]),
        ...permissionLines(paint, offered.permissions),
        ...toolLines(paint, installed?.tools ?? offered.tools),
        paint.strong('Versions'),
        ...offered.versions
          .slice(0, 10)
          .map(({ version, publishedAt, yanked, yankReason, deprecated, signer }) => {
            const marks = [
              yanked ? `yanked${yankReason ? ` (${yankReason})` : ''}` : '',
              deprecated === null ? '' : `deprecated: ${deprecated}`,
            ].filter(Boolean);
            return `  ${version}  ${publishedAt.slice(0, 10)}  ${paint.dim(shortKey(signer))}${marks.length === 0 ? '' : `  ${marks.join(', ')}`}`;
          }),
        ...(installed === undefined
          ? []
          : [
              paint.strong('Installed here'),
              `  ${installed.version} as ${installed.alias}, ${stateWord(paint, installed.state)}`,
              ...(installed.problem === undefined ? [] : [`  ${installed.problem}`]),
              ...installed.notes.map((note) => `  ${note}`),
            ]),
      ].join('\n'),
      next: installed === undefined ? [`berth install ${offered.name}`] : [],
    };
  },
});
