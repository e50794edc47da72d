import { AppError } from '../../protocol/errors.ts';
import { command, type Context } from '../command.ts';
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
    if (forget) {
      const known = await forgetCredential(context.home, baseUrl);
      return {
        data: { registry: baseUrl, forgotten: known },
        notes: [known ? `The token of ${baseUrl} is forgotten.` : `No token of ${baseUrl} was kept.`],
        undo: `berth login --registry ${baseUrl}`,
      };
    }
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { callRoute } = await import('../../protocol/node/http-client.ts');
    const { plainDeep } = await import('../output.ts');
    const token = await askToken(context, baseUrl);
    // A wrong token is refused here and not kept.
    const who = plainDeep(await callRoute(registryApi.whoami, { baseUrl, token }));
    await saveCredential(context.home, baseUrl, { token, savedAt: new Date().toISOString() });
    return {
      data: { registry: baseUrl, ...who },
      notes: [
        `Signed in to ${baseUrl} as ${who.name}; may publish in ${who.admin ? 'any namespace' : who.namespaces.join(', ') || 'no namespace'}.`,
      ],
      undo: `berth login --registry ${baseUrl} --forget`,
    };
  },
});

async function askToken(context: Context, baseUrl: string): Promise<string> {
  if (context.stdin.isTTY !== true) return (await readStdin(context.stdin, 'the token')).trim();
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
  if (clack.isCancel(token) || token.trim() === '')
    throw new AppError('not-signed-in', { detail: 'No token was given.' });
  return token.trim();
}
