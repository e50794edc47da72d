import { command } from '../command.ts';

/** `berth unyank` */
export const unyank = command({
  name: 'unyank',
  group: 'Publish',
  summary: 'Let a yanked version be chosen again',
  arguments: { version: { about: 'namespace/name@version' } },
  options: {},
  examples: ['berth unyank local.me/hello@1.0.0'],
  async run(context, { version }) {
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { shellWord } = await import('../shell-word.ts');
    const { versionParams } = await import('../names.ts');
    const params = versionParams(version);
    const { yanked, yankReason } = await context.registry(registryApi.version, { params });
    const data = await context.registry(registryApi.unyank, { params });
    if (!yanked) return { data, notes: [`${data.name} ${data.version} was not yanked.`] };
    return {
      data,
      notes: [`${data.name} ${data.version} can be chosen again.`],
      undo: `berth yank ${data.name}@${data.version}${yankReason ? ` --reason ${shellWord(yankReason)}` : ''}`,
    };
  },
});
