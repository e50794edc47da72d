import { EventEmitter, once } from 'node:events';
import { createLogger, type Logger } from '../../protocol/node/logger.ts';

/** A real logger whose lines a test reads, and waits for. */
export function logLines(): {
  log: Logger;
  lines: Record<string, unknown>[];
  /** The first line, past or future, that fits. */
  line(fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
} {
  const lines: Record<string, unknown>[] = [];
  const written = new EventEmitter();
  const log = createLogger({
    level: 'debug',
    name: 'test',
    destination: {
      write(text: string) {
        lines.push(JSON.parse(text) as Record<string, unknown>);
        written.emit('line');
      },
    },
  });
  return {
    log,
    lines,
    async line(fits) {
      for (;;) {
        const found = lines.find(fits);
        if (found !== undefined) return found;
        await once(written, 'line');
      }
    },
  };
}
