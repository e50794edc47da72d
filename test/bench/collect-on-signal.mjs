// Loaded before a hub that is measured (`--expose-gc --import`): what it holds is told apart from what it has not
// collected yet, or not given back.
process.on('SIGUSR2', () => {
  for (let times = 0; times < 5; times += 1) setTimeout(() => globalThis.gc(), times * 100);
});
