/** A person stopped the command, by a signal or at a prompt: exit code 130. The message says how things stand, if anything is to say. */
export class Interrupted extends Error {}
