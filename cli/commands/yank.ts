import { command } from '../command.ts';

/** `berth yank` */
export const yank = command({
  name: 'yank',
  group: 'Publish',
  summary: 'Stop a version from being installed anew; who runs it keeps it',
  arguments: { version: { about: 'namespace/name@version' } },
  options: { reason: { type: 'text', value: 'TEXT', about: 'why, for all to read' } },
  examples: ['berth yank local.me/hello@1.0.0 --reason "wrong results"'],
  async run(context, { version, reason }) {
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { versionParams } = await import('../names.ts');
    const params = versionParams(version);
    const before = await context.registry(registryApi.version, { params });
    const data = await context.registry(registryApi.yank, {
      params,
      body: reason === undefined ? {} : { reason },
    });
    if (before.yanked) return { data, notes: [`${data.name} ${data.version} was yanked before.`] };
    return {
      data,
      notes: [`${data.name} ${data.version} is yanked.`],
      undo: `berth unyank ${data.name}@${data.version}`,
    };
  },
});
