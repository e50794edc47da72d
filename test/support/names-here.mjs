// Loaded before a skill (`--import`): names under `.example` lead to this machine, as its sandbox would let them lead
// to where they are granted.
import dns from 'node:dns';

const { lookup } = dns;
dns.lookup = (name, options, callback) => {
  const told = typeof options === 'function' ? options : callback;
  if (!name.endsWith('.example')) return lookup(name, options, callback);
  if (options.all === true) setImmediate(() => told(null, [{ address: '127.0.0.1', family: 4 }]));
  else setImmediate(() => told(null, '127.0.0.1', 4));
};
