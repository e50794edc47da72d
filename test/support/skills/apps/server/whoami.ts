/** What tells copies of this skill apart. */
export const whoami = 'apps';
