import { guardedFetch, OPEN_INTERNET } from '../hub/remote/guarded-fetch.ts';
import { agreeInBrowser } from './agree.ts';
import type { Context } from './command.ts';
import type { RemoteAsking } from './surface-of-remote.ts';

/** How a command asks a remote server what it offers: whoever sits at the terminal may sign in. */
export function askingRemote(context: Context): RemoteAsking {
  return {
    fetch: guardedFetch(OPEN_INTERNET),
    authorize: context.asks ? (url) => agreeInBrowser(context, url) : undefined,
  };
}
