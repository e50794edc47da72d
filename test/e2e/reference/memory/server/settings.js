import { env } from 'node:process';

// The server keeps its graph beside its code unless it is told otherwise, and a package is read-only.
env['MEMORY_FILE_PATH'] = '/data/memory.jsonl';
