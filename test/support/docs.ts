import { hubConfigSchema } from '../../hub/config.ts';
import { ERRORS } from '../../protocol/errors.ts';
import { manifestJsonSchema } from '../../protocol/manifest.ts';
import { describeConfig, type Setting } from '../../protocol/node/config.ts';
import { registryConfigSchema } from '../../registry/config.ts';

/** The pages of `docs/` that are made from the code, by file name. `npm run docs` writes them; a test compares. */
export function generatedDocs(): Record<string, string> {
  return {
    'skill.schema.json': `${JSON.stringify(manifestJsonSchema(), null, 2)}\n`,
    'configuration.md': configurationPage(),
    'errors.md': errorsPage(),
  };
}

function configurationPage(): string {
  return `# Configuration

Made from the code by \`npm run docs\`. Each server reads a JSON file in the home (\`hub.json\`, \`registry.json\`), then the
environment, then the command line; each wins over the one before. Unknown keys and wrong values stop the start.

The home is \`$BERTH_HOME\`, else \`$XDG_DATA_HOME/berth\`, else \`~/.local/share/berth\`.

## Hub

${settingsTable(describeConfig(hubConfigSchema, 'BERTH_HUB_'))}

## Registry

${settingsTable(describeConfig(registryConfigSchema, 'BERTH_REGISTRY_'))}
`;
}

function settingsTable(settings: readonly Setting[]): string {
  const rows = settings.map(({ key, env, type, default: fallback, description }) => {
    const shown = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``;
    return `| \`${key}\` | \`${env}\` | ${type.replaceAll('|', '\\|')} | ${shown} | ${description} |`;
  });
  return [
    '| key | environment | type | default | what it is |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, exit, title }]) => `| \`${code}\` | ${status} | ${exit} | ${title} |`,
  );
  return `# Errors

Made from the code by \`npm run docs\`. A code is stable: it names the fault in HTTP (RFC 9457 problem documents), in MCP
and in the CLI's \`--json\`.

| code | HTTP status | exit code | title |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}
