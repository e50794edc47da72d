import { command } from '../command.ts';
import { columns, count } from '../output.ts';

/** `berth status` */
export const status = command({
  name: 'status',
  group: 'Start here',
  summary: 'What is running and what waits for a decision',
  arguments: {},
  options: {},
  examples: ['berth status', 'berth status --json'],
  async run(context) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const data = await context.hub(adminApi.status, {});
    const { paint } = context;
    const sandbox = data.sandbox.usable
      ? paint.good(`${data.sandbox.driver} holds skills to their grants`)
      : paint.bad(`not usable: ${data.sandbox.problem?.detail ?? ''}`);
    const running = data.running.map(({ skill, version, user, pid, calls, memoryBytes, state }) => [
      skill,
      version,
      user,
      pid === 0 ? '-' : String(pid),
      String(calls),
      memoryBytes === 0 ? '-' : String(inMb(memoryBytes)),
      // A process has a number; what has none runs on somebody else's machine.
      pid === 0 ? `${state}, runs elsewhere, cannot be verified` : state,
    ]);
    return {
      data,
      text: [
        `hub       ${data.hub}`,
        `mcp       ${data.mcp}`,
        `registry  ${data.registry}`,
        `sandbox   ${sandbox}`,
        ...data.unsandboxed.map((name) => `          ${paint.bad(`${name} runs WITHOUT A SANDBOX`)}`),
        `skills    ${data.skills.ready} ready, ${data.skills.blocked} blocked, ${data.skills.quarantined} quarantined`,
        `memory    ${inMb(data.memory.bytes)} of ${inMb(data.memory.limitBytes)} MB for skills; idle ones stay ready within ${inMb(data.memory.warmBytes)} MB`,
        `clients   ${data.clients}`,
        `audit     ${count(data.audit.records, 'record')}`,
        ...(running.length === 0
          ? []
          : ['', columns(context, ['SKILL', 'VERSION', 'USER', 'PID', 'CALLS', 'MB', 'STATE'], running)]),
        ...(data.waiting.length === 0
          ? []
          : ['', ...data.waiting.map(({ id, sentence }) => `${id}  ${sentence}`)]),
      ].join('\n'),
      next: data.waiting.slice(0, 1).map(({ id }) => `berth approve ${id}`),
    };
  },
});

function inMb(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
