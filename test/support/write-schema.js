// Writes docs/skill.schema.json from the manifest schema in dist; `npm run schema` builds that first.
import { writeFileSync } from 'node:fs';
import { manifestJsonSchema } from '../../dist/protocol/manifest.js';

const file = new URL('../../docs/skill.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(manifestJsonSchema(), null, 2)}\n`);
