// Loaded before a hub that is measured (`--expose-gc --import`): what it holds is told apart from what it has not collected yet.
process.on('SIGUSR2', () => globalThis.gc());
