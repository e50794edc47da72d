import type { Clock } from '../clock.ts';
import { sayable } from '../../protocol/canonical.ts';
import type { EgressEvent, EgressOrder } from './egress.ts';
import { COUNTING_MS, MOST_TOLD } from './limits.ts';

/** What happened, without for whom. */
export type Happening = OneOf<EgressEvent>;
type OneOf<Event> = Event extends EgressEvent ? Omit<Event, 'skill' | 'user' | 'count'> : never;

/** Tells of what happens at the border of one session, but not so often that nobody could read it any more. */
export interface Telling {
  tell(happening: Happening): void;
  /** Tells what was only counted so far. */
  close(): void;
}

/** The longest name there is, and a little more of what only pretends to be one. */
const LONGEST_TEXT = 260;

/**
 * The first of its kind is told at once, those after it as a count once a minute. A first contact is told once a
 * session. So many different ones that a minute has no room for them are counted under the host `*`.
 */
export function telling(
  { skill, user }: Pick<EgressOrder, 'skill' | 'user'>,
  { clock, events }: { clock: Clock; events: (event: EgressEvent) => void },
): Telling {
  const contacts = new Set<string>();
  const counted = new Map<string, { happening: Happening; more: number }>();
  let told = 0;
  let stopCounting: (() => void) | undefined;

  function flush(): void {
    stopCounting = undefined;
    told = 0;
    const counts = [...counted.values()].filter(({ more }) => more > 0);
    counted.clear();
    for (const { happening, more } of counts) {
      count(happening, 0);
      events({ ...happening, skill, user, count: more });
    }
  }

  function count(happening: Happening, more: number): void {
    counted.set(keyOf(happening), { happening, more });
    stopCounting ??= clock.after(COUNTING_MS, flush);
  }

  return {
    tell(untidy) {
      const happening = tidy(untidy);
      const contact = JSON.stringify([happening.host, happening.port]);
      if (happening.kind === 'reached') {
        if (contacts.has(contact)) return;
        contacts.add(contact);
      }
      const known = counted.get(keyOf(happening));
      if (known !== undefined) {
        known.more += 1;
        return;
      }
      if (told < MOST_TOLD) {
        told += 1;
        count(happening, 0);
        events({ ...happening, skill, user });
        return;
      }
      const others: Happening =
        happening.kind === 'reached'
          ? { kind: happening.kind, host: '*' }
          : { kind: happening.kind, host: '*', reason: happening.reason };
      count(others, (counted.get(keyOf(others))?.more ?? 0) + 1);
    },
    close() {
      stopCounting?.();
      flush();
      stopCounting?.();
    },
  };
}

/** What makes two of them equal: not the address, which may be another one each time. */
function keyOf({ address: _varies, ...rest }: Happening): string {
  return JSON.stringify(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Names come from the skill: they are shortened, and hold nothing that a reader would not see. */
function tidy(happening: Happening): Happening {
  const host = plain(happening.host);
  if (happening.kind === 'reached' || happening.named === undefined) return { ...happening, host };
  return { ...happening, host, named: plain(happening.named) };
}

function plain(text: string): string {
  return sayable(text, LONGEST_TEXT).replaceAll(/[^ -~]/g, '\ufffd');
}
