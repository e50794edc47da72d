import type { ServerCapabilities } from '@modelcontextprotocol/server';
import { APPS_EXTENSION, appsOf } from '../../protocol/apps-extension.ts';
import type { GatewayView, Scope } from './gateway.ts';
import { isListMethod, LISTS } from './lists.ts';
import { isRequest, REQUESTS } from './requests.ts';
import { isSubscription } from './session-subscriptions.ts';
import { isSkillsMethod, offersSkills, SKILLS_CAPABILITY } from './skills.ts';

/**
 * What a door offers, from what its visitor sees. At `/mcp` the kinds of things are always there, for skills
 * come and go under an open session; a single skill's door offers exactly what the skill has.
 */
export function capabilitiesOf(view: GatewayView, scope: Scope): ServerCapabilities {
  const all = scope.kind === 'all';
  return {
    ...(all || view.tools.length > 0 ? { tools: { listChanged: true } } : {}),
    ...(all || view.prompts.length > 0 ? { prompts: { listChanged: true } } : {}),
    ...(all || view.resources.length + view.resourceTemplates.length > 0
      ? { resources: { listChanged: true, ...(all || view.subscribable ? { subscribe: true } : {}) } }
      : {}),
    ...(view.completions ? { completions: {} } : {}),
    ...extensionsOf(view, all),
    ...(all || view.logging ? { logging: {} } : {}),
  };
}

function extensionsOf(view: GatewayView, all: boolean): Pick<ServerCapabilities, 'extensions'> {
  const extensions = {
    ...(all || view.skills.length > 0 ? SKILLS_CAPABILITY.extensions : {}),
    ...(all || view.tools.some((tool) => appsOf(tool).length > 0) ? { [APPS_EXTENSION]: {} } : {}),
  };
  return Object.keys(extensions).length === 0 ? {} : { extensions };
}

/** Whether a door with these capabilities knows the method. */
export function serves(capabilities: ServerCapabilities, method: string): boolean {
  if (isSkillsMethod(method)) return offersSkills(capabilities);
  if (isSubscription(method)) return capabilities.resources?.subscribe === true;
  const known = isListMethod(method) ? LISTS[method] : isRequest(method) ? REQUESTS[method] : undefined;
  return known !== undefined && capabilities[known.capability] !== undefined;
}
