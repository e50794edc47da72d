import type { Express } from 'express';
import { mount } from '../protocol/node/http-server.ts';
import { adminApi, type ProfileView } from './admin-api.ts';
import { type Clients, LOCAL_USER } from './clients.ts';
import type { InstalledSkills } from './installed.ts';
import type { Profile, ProfileEntry, Profiles } from './profiles.ts';
import { notInstalled } from './remove.ts';

interface ProfilesAdminParts {
  profiles: Profiles;
  clients: Pick<Clients, 'list'>;
  installed: Pick<InstalledSkills, 'find'>;
}

/** Serves the part of the admin API that is about profiles. */
export function mountProfiles(app: Express, parts: ProfilesAdminParts): void {
  const asAdmin = { authenticate: async () => LOCAL_USER };
  mount(app, adminApi.profiles, asAdmin, () =>
    parts.profiles.list().map((profile) => profileView(parts, profile)),
  );
  mount(app, adminApi.profile, asAdmin, ({ params }) =>
    profileView(parts, parts.profiles.get(params.profile)),
  );
  mount(app, adminApi.setProfile, asAdmin, async ({ params, body }) => {
    const entries = body.entries.map((entry) => ({ ...entry, skill: fullName(parts, entry.skill) }));
    const before = await parts.profiles.set(params.profile, entries);
    return {
      profile: profileView(parts, parts.profiles.get(params.profile)),
      ...(before === undefined ? {} : { before: profileView(parts, before) }),
      missing: entries.flatMap((entry) => missingOf(parts, entry)),
    };
  });
  mount(app, adminApi.removeProfile, asAdmin, async ({ params }) =>
    profileView(parts, await parts.profiles.remove(params.profile)),
  );
}

/** A full name stands for itself, for a profile may be there before its skills. @throws AppError `not-installed`. */
function fullName({ installed }: ProfilesAdminParts, given: string): string {
  const skill = installed.find(given);
  if (skill !== undefined) return skill.name;
  if (given.includes('/')) return given;
  throw notInstalled(given);
}

function missingOf({ installed }: ProfilesAdminParts, { skill, tools = [] }: ProfileEntry): string[] {
  const found = installed.find(skill);
  if (found === undefined) return [`${skill} is not installed here; the profile shows it once it is.`];
  return tools
    .filter((tool) => !found.tools.has(tool))
    .map((tool) => `${skill} has no tool ${tool}; the profile shows it once it has.`);
}

function profileView({ clients }: ProfilesAdminParts, { name, entries }: Profile): ProfileView {
  return {
    name,
    entries: entries.map(({ skill, tools }) => ({ skill, ...(tools === undefined ? {} : { tools }) })),
    clients: clients
      .list()
      .filter(({ exposure }) => exposure.profile === name)
      .map((client) => client.name),
  };
}
