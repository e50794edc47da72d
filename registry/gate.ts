/** Lets a bounded number of tasks run at once; the others wait in the order in which they came. */
export interface Gate {
  run<T>(task: () => Promise<T>): Promise<T>;
}

/** A gate for `width` tasks at once. */
export function gate(width: number): Gate {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async run(task) {
      if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
      else running += 1;
      try {
        return await task();
      } finally {
        // The place goes straight to the next in line, so nobody slips in between.
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
