import { command } from '../command.ts';

/** `berth yank` */
export const yank = command({
  name: 'yank',
  group: 'Publish',
  summary: 'Stop a version from being chosen; it stays available by its exact number',
  arguments: { version: { about: 'namespace/name@version' } },
  options: { reason: { type: 'text', value: 'TEXT', about: 'why, for all to read' } },
  examples: ['berth yank local.me/hello@1.0.0 --reason "wrong results"'],
  async run(context, { version, reason }) {
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { versionParams } = await import('../names.ts');
    const data = await context.registry(registryApi.yank, {
      params: versionParams(version),
      body: reason === undefined ? {} : { reason },
    });
    return {
      data,
      notes: [`${data.name} ${data.version} is yanked.`],
      undo: `berth unyank ${data.name}@${data.version}`,
    };
  },
});
