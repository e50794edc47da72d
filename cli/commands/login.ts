import { AppError } from '../../protocol/errors.ts';
import { command, type Context } from '../command.ts';
import { Interrupted } from '../interrupted.ts';
import { readStdin } from '../stdin.ts';

/** `berth login` */
export const login = command({
  name: 'login',
  group: 'Publish',
  summary: 'Sign in to a registry with a token from its admin',
  arguments: {},
  options: { forget: { type: 'flag', about: 'forget the token of the registry instead' } },
  examples: [
    'berth login --registry https://registry.example.org',
    'berth login --registry https://registry.example.org < token.txt',
    'berth login --registry https://registry.example.org --forget',
  ],
  async run(context, { forget }) {
    const { forgetCredential, saveCredential } = await import('../credentials.ts');
    const { baseUrl } = await context.registryAddress();
    const isDefault = context.settings.registry === undefined;
    if (forget) {
      const known = await forgetCredential(context.home, baseUrl);
      return {
        data: { registry: baseUrl, forgotten: known },
        ...(known
          ? {
              notes: [`The token of ${baseUrl} is forgotten.`],
              undo: `berth login --registry ${baseUrl}`,
            }
          : { notes: [`No token of ${baseUrl} was kept.`] }),
      };
    }
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const token = await askToken(context, baseUrl);
    // A wrong token is refused here and not kept.
    const who = await context.registry(registryApi.whoami, { token }).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.exit !== 4) throw error;
      throw new AppError(error.code, {
        detail: `${baseUrl} does not take this token. ${error.message}`,
        hint: 'Ask the admin of the registry for one: berth tokens add NAME --namespace NAMESPACE',
        cause: error,
      });
    });
    await saveCredential(context.home, baseUrl, { token, savedAt: new Date().toISOString() });
    return {
      data: { registry: baseUrl, ...who },
      notes: [
        `Signed in to ${baseUrl} as ${who.name}; may publish in ${who.admin ? 'any namespace' : who.namespaces.join(', ') || 'no namespace'}.`,
        ...(isDefault
          ? []
          : [`Commands reach it with --registry ${baseUrl}, or with BERTH_REGISTRY set to it.`]),
      ],
      undo: `berth login --registry ${baseUrl} --forget`,
    };
  },
});

async function askToken(context: Context, baseUrl: string): Promise<string> {
  if (context.stdin.isTTY !== true) {
    return (
      await readStdin(context.stdin, 'the token', `berth login --registry ${baseUrl} < token.txt`)
    ).trim();
  }
  if (!context.asks) {
    throw new AppError('usage-invalid', {
      detail: 'Nobody can be asked for the token here.',
      hint: `Pipe it in: berth login --registry ${baseUrl} < token.txt`,
    });
  }
  const clack = await import('@clack/prompts');
  const token = await clack.password({
    message: `Token for ${baseUrl}`,
    output: context.stderr,
    signal: context.signal,
  });
  if (clack.isCancel(token)) throw new Interrupted('Nobody was signed in.');
  if (token.trim() === '') throw new AppError('not-signed-in', { detail: 'No token was given.' });
  return token.trim();
}
