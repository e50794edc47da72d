import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { berthRoot } from './root.ts';

/** Berth's own version. */
export function berthVersion(): string {
  return (JSON.parse(readFileSync(join(berthRoot(), 'package.json'), 'utf8')) as { version: string }).version;
}
