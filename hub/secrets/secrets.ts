/** Keeps secret values for skills. Values go in and to the sandbox; nothing else ever reads them. */
export interface Secrets {
  /** Name → value of what is kept for a skill. */
  of(skill: string): ReadonlyMap<string, string>;
  /** Adds or replaces values; durable when it resolves. */
  keep(skill: string, values: Readonly<Record<string, string>>): Promise<void>;
  forget(skill: string): Promise<void>;
}
