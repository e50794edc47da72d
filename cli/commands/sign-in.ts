import { command } from '../command.ts';

/** Asking the server, and the person in the browser. */
const FINISH_TIMEOUT_MS = 60_000;

/** `berth sign-in` */
export const signIn = command({
  name: 'sign-in',
  group: 'Use skills',
  summary: 'Sign in at the server of a remote skill',
  arguments: { skill: { about: 'its full name, or its alias' } },
  options: {
    forget: { type: 'flag', about: 'forget the tokens instead' },
    clientId: { type: 'text', value: 'ID', about: 'as whom this hub was registered there by hand' },
    clientSecret: {
      type: 'text',
      value: 'source',
      about: 'the secret that belongs to the client id, from env:VAR, file:PATH or - (stdin)',
    },
  },
  examples: ['berth sign-in com.acme/tickets', 'berth sign-in com.acme/tickets --forget'],
  endsItself: true,
  async run(context, { skill, forget, clientId, clientSecret }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { skillParams } = await import('../names.ts');
    const { installedName } = await import('../installed-name.ts');
    const name = await installedName(context, skill);
    const params = skillParams(name);
    if (forget) {
      const { forgotten } = await context.hub(adminApi.forgetSignIn, { params });
      return {
        data: { skill: name, forgotten },
        notes: [forgotten ? `The tokens for ${name} are forgotten.` : `No tokens for ${name} were kept.`],
        ...(forgotten ? { undo: `berth sign-in ${name}` } : {}),
      };
    }
    const { secretFrom } = await import('../acceptance.ts');
    const secret =
      clientSecret === undefined
        ? undefined
        : await secretFrom(context, 'of the client id', clientSecret, '--client-secret ');
    const begun = await context.hub(adminApi.beginSignIn, {
      params,
      body: clientId === undefined ? {} : { client: { id: clientId, ...(secret && { secret }) } },
      timeoutMs: FINISH_TIMEOUT_MS,
      raw: true,
    });
    if (begun.id === undefined || begun.url === undefined)
      return {
        data: { skill: name, signedIn: false },
        notes: [`The server of ${name} asks for no sign-in now.`],
      };
    const { agreeInBrowser } = await import('../agree.ts');
    const answer = await agreeInBrowser(context, new URL(begun.url));
    await context.hub(adminApi.finishSignIn, {
      params: { id: begun.id },
      body: { answer: answer.toString() },
      timeoutMs: FINISH_TIMEOUT_MS,
    });
    return {
      data: { skill: name, signedIn: true },
      notes: [`Signed in for ${name}. Calls of it go out with your token from now on.`],
      undo: `berth sign-in ${name} --forget`,
    };
  },
});
