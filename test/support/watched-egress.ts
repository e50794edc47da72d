import { systemClock } from '../../hub/clock.ts';
import type { Egress, EgressEvent, EgressOrder } from '../../hub/egress/egress.ts';
import { createEgress } from '../../hub/egress/session.ts';

/** The real way out, for sandboxes whose hosts all have an address of their own: it tells what it was asked to open. */
export function watchedEgress(
  events: (event: EgressEvent) => void = () => undefined,
): Egress & { orders: EgressOrder[]; live(): number } {
  const orders: EgressOrder[] = [];
  let live = 0;
  const egress = createEgress({
    clock: systemClock,
    resolve: () => Promise.reject(new Error('there is no internet here')),
    doors: () => [],
    events,
  });
  return {
    orders,
    live: () => live,
    open(order) {
      const session = egress.open(order);
      orders.push(order);
      live += 1;
      let isOpen = true;
      return {
        ...session,
        close() {
          if (isOpen) live -= 1;
          isOpen = false;
          session.close();
        },
      };
    },
  };
}
