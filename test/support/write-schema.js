// Writes docs/skill.schema.json from the schema that manifests are read with: `npm run schema`.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = new URL('../../', import.meta.url);
const bundle = await build({
  entryPoints: [fileURLToPath(new URL('protocol/manifest.ts', root))],
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false,
});
const code = Buffer.from(bundle.outputFiles[0].contents).toString('base64');
const { manifestJsonSchema } = await import(`data:text/javascript;base64,${code}`);
writeFileSync(new URL('docs/skill.schema.json', root), `${JSON.stringify(manifestJsonSchema(), null, 2)}\n`);
