import type { ServerCapabilities } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { childrenAt, entryAt, SKILLS_EXTENSION } from '../../protocol/skills-extension.ts';
import type { GatewayView } from './gateway.ts';
import { uriSchema } from './requests.ts';

/**
 * The Skills extension (SEP-2640), answered by hand: the SDK's `SkillsExtension` registers its own handlers with an
 * `McpServer`, `resources/list` and `resources/read` among them, and these are the hub's, so that each read is
 * decided and on record. Reading a skill's files is `resources/read` as ever; here is only what can be listed.
 */
const METHODS = {
  'skills/list': z.object({ cursor: z.string().optional() }).optional(),
  'skills/get': z.object({ uri: uriSchema }),
  'resources/directory/read': z.object({ uri: uriSchema, cursor: z.string().optional() }),
} as const;
type SkillsMethod = keyof typeof METHODS;

/** What a door with skills to read declares. */
export const SKILLS_CAPABILITY = {
  extensions: { [SKILLS_EXTENSION]: { directoryRead: true } },
} as const satisfies ServerCapabilities;

/** Whether the extension has this method. */
export function isSkillsMethod(method: string): method is SkillsMethod {
  return Object.hasOwn(METHODS, method);
}

/** Whether a door with these capabilities offers the extension. */
export function offersSkills({ extensions }: ServerCapabilities): boolean {
  return extensions?.[SKILLS_EXTENSION] !== undefined;
}

/**
 * Answers from what is in view; `pageAt` cuts the list of skills.
 * @throws AppError `request-invalid`, `resource-not-found`, and what `pageAt` throws.
 */
export function skillsAnswer(
  skills: GatewayView['skills'],
  pageAt: (cursor: string | undefined) => { entries: GatewayView['skills']; nextCursor?: string },
  method: SkillsMethod,
  params: unknown,
): Record<string, unknown> {
  switch (method) {
    case 'skills/list': {
      const { entries, ...more } = pageAt(parsed(METHODS[method], params)?.cursor);
      return { skills: entries, ...more };
    }
    case 'skills/get': {
      const asked = parsed(METHODS[method], params);
      const skill = entryAt(skills, asked.uri);
      if (skill === undefined) throw notThere('skill', asked.uri);
      return { skill };
    }
    case 'resources/directory/read': {
      const asked = parsed(METHODS[method], params);
      refusePage(asked.cursor);
      const resources = childrenAt(skills, asked.uri);
      if (resources === undefined) throw notThere('folder of a skill', asked.uri);
      return { resources };
    }
  }
}

function parsed<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const outcome = schema.safeParse(params);
  if (outcome.success) return outcome.data;
  const [fault] = outcome.error.issues;
  throw new AppError('request-invalid', {
    detail: `Invalid params: ${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''}`,
  });
}

/** A folder is given whole, so there is no cursor that could have come from here. */
function refusePage(cursor: string | undefined): void {
  if (cursor !== undefined) throw new AppError('request-invalid', { detail: 'There is no such page.' });
}

function notThere(what: string, asked: string): AppError {
  return new AppError('resource-not-found', {
    detail: `No ${what} has the URI ${JSON.stringify(asked.slice(0, 200))}.`,
  });
}
