import { adminApi, type InstalledSkillView } from '../../hub/admin-api.ts';
import { AppError } from '../../protocol/errors.ts';
import { authorKey } from '../author-keys.ts';
import type { Context } from '../command.ts';
import { Interrupted } from '../interrupted.ts';
import { signedIn } from '../publish.ts';
import { askForInput } from './ask.ts';
import type { Input, ServerEntry } from './configs.ts';
import { inputsOf } from './references.ts';

/** What can be known before the work is: that there is a hub, that it takes from this registry, and a key. */
export async function readyToPublish(context: Context): Promise<readonly InstalledSkillView[]> {
  const { registry } = await context.hub(adminApi.status, {});
  const address = await context.registryAddress();
  if (registry.replace(/\/+$/, '') !== address.baseUrl) {
    throw new AppError('usage-invalid', {
      detail: `This hub installs from ${registry}, and adopted skills would be published to ${address.baseUrl}.`,
      hint: `Give --registry ${registry}`,
    });
  }
  signedIn(address);
  await authorKey(context.home);
  return context.hub(adminApi.skills, {});
}

/** Answers to what the client would ask its user for: from `--secret`, or asked now. */
export async function answersTo(
  context: Context,
  servers: readonly ServerEntry[],
  inputs: readonly Input[],
  said: Readonly<Record<string, string>>,
  silent: boolean,
): Promise<Record<string, string>> {
  const answers = { ...said };
  const ids = new Set(servers.flatMap(({ way }) => (way.kind === 'local' ? inputsOf(way) : [])));
  const unknown = Object.keys(said).find((id) => !ids.has(id));
  if (unknown !== undefined) {
    throw new AppError('usage-invalid', {
      detail: `None of the servers asks for an input ${unknown}.`,
      hint: `Inputs that they ask for: ${[...ids].join(', ') || 'none'}`,
    });
  }
  for (const id of ids) {
    if (answers[id] !== undefined || silent || !context.asks) continue;
    const input = inputs.find((one) => one.id === id) ?? { id, description: undefined, password: true };
    const answer = await askForInput(context, input);
    if (answer === undefined) throw new Interrupted('Nothing was adopted and nothing was changed.');
    answers[id] = answer;
  }
  return answers;
}
