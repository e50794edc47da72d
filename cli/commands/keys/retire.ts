import { command } from '../../command.ts';

/** `berth keys retire` */
export const keysRetire = command({
  name: 'keys retire',
  group: 'Publish',
  summary: 'Accept nothing new from a key; what it signed stays good',
  arguments: {
    namespace: { about: 'for which it signed' },
    key: { about: 'its key id' },
  },
  options: {},
  examples: ['berth keys retire com.acme t1+tJTspi9rfeV6TWLmdEtaVnLoEz+hT5W5usg8+zMA='],
  async run(context, { namespace, key }) {
    const { registryApi } = await import('../../../protocol/registry-api.ts');
    const data = await context.registry(registryApi.retireKey, {
      params: { namespace },
      body: { keyId: key },
    });
    return {
      data,
      notes: [`${key} signs nothing new for ${namespace}.`],
      undo: `a retired key stays retired; register another: berth keys register ${namespace} --key NAME`,
    };
  },
});
