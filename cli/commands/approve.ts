import { ACCEPTANCE_OPTIONS, acceptanceOf } from '../acceptance.ts';
import { command } from '../command.ts';
import { refusedAsTyped } from '../acceptance-faults.ts';
import { installedText } from '../skill-text.ts';

/** `berth approve` */
export const approve = command({
  name: 'approve',
  group: 'Decide',
  summary: 'Accept what waits',
  arguments: { id: { about: 'its id, from: berth inbox' } },
  options: ACCEPTANCE_OPTIONS,
  examples: [
    'berth approve install_k3f9',
    'berth approve upgrade_k3f9 --without network:api.example.org:443',
  ],
  async run(context, { id, ...flags }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { installedNow } = await import('../installed-name.ts');
    const { undoOfAcceptance } = await import('../reinstall.ts');
    const proposal = await context.hub(adminApi.approval, { params: { id } });
    const body = await acceptanceOf(context, flags);
    const before = await installedNow(context, proposal.skill);
    const installed = await context
      .hub(adminApi.approve, { params: { id }, body })
      .catch((error: unknown) => {
        throw refusedAsTyped(error, `berth approve ${id}`);
      });
    const undo = undoOfAcceptance(before, installed);
    return {
      data: installed,
      text: installedText(context.paint, installed),
      ...(undo === undefined ? {} : { undo }),
    };
  },
});
