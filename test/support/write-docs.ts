import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedDocs } from './docs.ts';

// `npm run docs`
for (const [name, text] of Object.entries(generatedDocs())) {
  writeFileSync(join(import.meta.dirname, '../../docs', name), text);
}
