import type { Migration } from '../../../protocol/node/database.ts';
import { up as start } from './0001-start.ts';
import { up as exposure } from './0002-exposure.ts';
import { up as folders } from './0004-folders.ts';
import { up as tasks } from './0003-tasks.ts';

/** Every step of the hub's schema, in order; forward only. */
export const hubMigrations: readonly Migration[] = [
  { name: '0001-start', up: start },
  { name: '0002-exposure', up: exposure },
  { name: '0003-tasks', up: tasks },
  { name: '0004-folders', up: folders },
];
