import { AppError } from '../../protocol/errors.ts';
import { command } from '../command.ts';

/** `berth deprecate` */
export const deprecate = command({
  name: 'deprecate',
  group: 'Publish',
  summary: 'Warn about a version, or take the warning back',
  arguments: {
    version: { about: 'namespace/name@version' },
    message: { about: 'what to use instead', optional: true },
  },
  options: { clear: { type: 'flag', about: 'take the warning back' } },
  examples: [
    'berth deprecate local.me/hello@1.0.0 "use 2.0.0"',
    'berth deprecate local.me/hello@1.0.0 --clear',
  ],
  async run(context, { version, message, clear }) {
    if (clear === (message !== undefined)) {
      throw new AppError('usage-invalid', {
        detail: 'Say either what to use instead, or --clear.',
        hint: `berth deprecate ${version} "use 2.0.0"`,
      });
    }
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { shellWord } = await import('../shell-word.ts');
    const { versionParams } = await import('../names.ts');
    const params = versionParams(version);
    const { deprecated: before } = await context.registry(registryApi.version, { params });
    const data = await context.registry(registryApi.deprecate, {
      params,
      body: { message: message ?? null },
    });
    const name = `${data.name}@${data.version}`;
    if (clear && before === null) return { data, notes: [`${name} had no warning.`] };
    return {
      data,
      notes: [clear ? `${name} is no longer warned about.` : `Whoever takes ${name} is now warned.`],
      undo:
        before === null ? `berth deprecate ${name} --clear` : `berth deprecate ${name} ${shellWord(before)}`,
    };
  },
});
