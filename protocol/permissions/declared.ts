import { z } from 'zod';
import { teach } from '../faults.ts';
import { CONFIG_REFERENCE, readHost } from './hosts.ts';
import { readGrantPath } from './paths.ts';
import {
  DEFAULT_RESOURCES,
  fileModeSchema,
  MAX_ENTRIES,
  MAX_HOST,
  MAX_PATH,
  MAX_PORTS,
  NAME_SERVER_PORT,
  networkProtocolSchema,
  portSchema,
  RESOURCE_BOUNDS,
  resourcesSchema,
} from './shape.ts';

/** Characters that make a text look like another one: controls, and marks that reorder or hide. */
const DECEIVING =
  /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/u;

/** A line of text that an admin will read on a screen: one line, nothing invisible, bounded. */
export function lineSchema(longest: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(longest)
    .refine(
      (text) => !DECEIVING.test(text) && text.trim() === text,
      teach('holds a line break, an invisible character or outer blanks', 'Write one line of visible text.'),
    );
}

const reasonSchema = lineSchema(200).optional().describe('Why, in words for the admin who decides.');

/**
 * Variables that steer a loader, a runtime or another program, or that the sandbox sets itself.
 * A skill that may receive one of them from outside is no longer the code that was reviewed.
 */
const DANGEROUS_ENV = new RegExp(
  `^(?:${[
    'PATH|HOME|TMPDIR|SHELL|USER|LOGNAME|IFS|ENV|BASH_.*|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND',
    'LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_.*|RES_OPTIONS|HOSTALIASES',
    'NODE_(?!ENV$).*|NPM_.*|PYTHON.*|PERL.*|RUBY.*|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS',
    'GIT_.*|OPENSSL_.*|SSL_CERT_.*|SSLKEYLOGFILE|EDITOR|VISUAL|PAGER|BROWSER|DBUS_.*|SSH_.*',
    'BERTH_.*',
  ].join('|')})$`,
  'i',
);

/** Whether a variable of this name steers a loader, a runtime, another program or the sandbox, so that none is ever passed in. */
export function isSteering(name: string): boolean {
  return DANGEROUS_ENV.test(name);
}

/** The name of an environment variable that a skill may be given. */
const envNameSchema = z
  .string()
  .max(64)
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    teach('is not the name of a variable', 'Use letters, digits and "_", such as TZ.'),
  )
  .refine(
    (name) => !isSteering(name),
    teach(
      'steers a runtime or the sandbox and is never passed in',
      'Use a variable of your own, or a config value.',
    ),
  );

const networkEntry = z
  .strictObject({
    host: z
      .string()
      .max(MAX_HOST)
      .superRefine((text, ctx) => {
        const reading = readHost(text);
        if (!reading.ok) ctx.addIssue({ code: 'custom', message: teach(reading.problem, reading.remedy) });
      })
      .describe('An exact host, "*.example.com", or "${config.x}".'),
    ports: z
      .array(
        portSchema.refine(
          (port) => port !== NAME_SERVER_PORT,
          teach(
            'is the port of name servers, at which a sandbox has the hub answer',
            'Leave it out: names of granted hosts are resolved without a permission.',
          ),
        ),
      )
      .min(1)
      .max(MAX_PORTS)
      .optional()
      .describe('Default: 443 for tls, 80 for http; tcp has none.'),
    protocol: networkProtocolSchema
      .default('tls')
      .describe('tls, plain http, or any tcp (which covers both).'),
    reason: reasonSchema,
  })
  .refine((entry) => portsOf(entry) !== undefined, {
    path: ['ports'],
    error: teach('is missing, and tcp has no usual port', 'Add "ports", such as [5432].'),
  });

const fileEntry = z.strictObject({
  path: z
    .string()
    .max(MAX_PATH)
    .superRefine((text, ctx) => {
      const reading = readGrantPath(text);
      if (!reading.ok) ctx.addIssue({ code: 'custom', message: teach(reading.problem, reading.remedy) });
    })
    .describe('Below ${workspace}, ${data} or a folder of the config, ${config.x}.'),
  mode: fileModeSchema,
  reason: reasonSchema,
});

/** `header:<host>:<Header>` in its parts; the host may be a reference, the header never holds a colon. */
const HEADER_INJECTION = /^header:(.+):([A-Za-z0-9][A-Za-z0-9-]{0,63})$/s;
/** Headers that shape the connection itself (RFC 9110 §7.6.1); a secret has no business there. */
const CONNECTION_HEADERS =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|sec-.*)$/i;

/** Where a secret goes when it is added to requests: undefined when the skill itself receives it. */
export function headerOf(inject: string): { host: string; header: string } | undefined {
  const match = HEADER_INJECTION.exec(inject);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { host: match[1], header: match[2] };
}

const injectSchema = z
  .string()
  .max(400)
  .superRefine((inject, ctx) => {
    if (inject === 'env' || inject === 'file') return;
    const header = headerOf(inject);
    const host = header === undefined ? undefined : readHost(header.host);
    if (header === undefined || host === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: teach(
          `"${inject}" is no way to inject a secret`,
          'Use env, file or header:<host>:<Header>.',
        ),
      });
    } else if (!host.ok) {
      ctx.addIssue({ code: 'custom', message: teach(host.problem, host.remedy) });
    } else if (header.host.startsWith('*.')) {
      ctx.addIssue({
        code: 'custom',
        message: teach(
          'sends a secret to every host below a name',
          'Name the one host that needs the secret.',
        ),
      });
    } else if (CONNECTION_HEADERS.test(header.header)) {
      ctx.addIssue({
        code: 'custom',
        message: teach(
          `the header ${header.header} steers the connection`,
          'Use a header such as Authorization.',
        ),
      });
    }
  });

const secretEntry = z.strictObject({
  name: envNameSchema,
  required: z.boolean().default(false),
  inject: injectSchema
    .default('env')
    .describe('env, file or header:<host>:<Header>; the last hides it from the skill.'),
  reason: reasonSchema,
});

const programEntry = z.strictObject({
  exec: z
    .string()
    .max(64)
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._+-]*$/,
      teach(
        'is not the bare name of a program',
        'Write a name such as git; it is looked up on the PATH of the hub.',
      ),
    ),
  reason: reasonSchema,
});

const boundedResource = (name: keyof typeof DEFAULT_RESOURCES) =>
  resourcesSchema.shape[name].default(DEFAULT_RESOURCES[name]);

/** The `permissions` of a manifest, as an author writes them. What is absent is not asked for. */
export const declaredPermissionsSchema = z.strictObject({
  network: z.array(networkEntry).max(MAX_ENTRIES).default([]),
  filesystem: z.array(fileEntry).max(MAX_ENTRIES).default([]),
  secrets: z.array(secretEntry).max(MAX_ENTRIES).default([]),
  env: z.array(envNameSchema).max(MAX_ENTRIES).default([]),
  subprocess: z.array(programEntry).max(MAX_ENTRIES).default([]),
  background: z.boolean().default(false).describe('May use its grants between calls.'),
  mcp: z
    .strictObject({
      sampling: z.boolean().default(false),
      elicitation: z.boolean().default(false),
      roots: z.boolean().default(false),
    })
    .prefault({}),
  resources: z
    .strictObject({
      memoryMb: boundedResource('memoryMb').describe(boundText('memoryMb', 'megabytes')),
      cpus: boundedResource('cpus').describe(boundText('cpus', 'processors')),
      pids: boundedResource('pids').describe(boundText('pids', 'processes and threads')),
      timeoutMs: boundedResource('timeoutMs').describe(boundText('timeoutMs', 'milliseconds a call')),
      diskMb: boundedResource('diskMb').describe(boundText('diskMb', 'megabytes of scratch space')),
    })
    .prefault({}),
});

/** The same before defaults are filled: every part may be absent. */
export type PermissionsInput = z.input<typeof declaredPermissionsSchema>;

/** The ports that an entry asks for; undefined where the protocol has no usual one. */
export function portsOf(entry: { ports?: number[] | undefined; protocol: string }): number[] | undefined {
  if (entry.ports !== undefined) return entry.ports;
  return { tls: [443], http: [80] }[entry.protocol];
}

/** The config key that a host or a root refers to. */
export function configKeyOf(text: string): string | undefined {
  const root = text.startsWith('${') ? text.slice(0, text.indexOf('}') + 1) : text;
  return CONFIG_REFERENCE.exec(root)?.[1];
}

function boundText(name: keyof typeof RESOURCE_BOUNDS, unit: string): string {
  const { min, max } = RESOURCE_BOUNDS[name];
  return `${min} to ${max} ${unit}.`;
}
