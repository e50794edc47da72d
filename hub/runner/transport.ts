import type { AppError } from '../../protocol/errors.ts';
import type { Weight } from '../sandbox/sandbox.ts';

/** What carries the messages between the hub and one skill server: a pipe to a process, or HTTP to another machine. */
export interface Transport {
  /** Of the process on this host; 0 where the server runs elsewhere. */
  readonly pid: number;
  /**
   * Sends one message; what goes wrong later is told by the events.
   * @throws AppError `skill-busy` when the skill has left too much unread.
   */
  send(message: object): void;
  /** What its process counts where processors are short; of no effect where it runs elsewhere. */
  weigh(weight: Weight): void;
  /** A call begins; until the answer is called, its network is open. Of no effect where it runs elsewhere. */
  enter(): () => void;
  /** Why it ended by itself, once nothing of it is left. Never rejects. */
  readonly ended: Promise<AppError>;
  /** Says that nothing more will come, and ends it after the grace period at the latest. */
  close(): Promise<void>;
  /** Ends it now; resolves when nothing of it is left. Safe to call twice. */
  kill(): Promise<void>;
}

/** What a transport tells whoever opened it. */
export interface TransportEvents {
  /** One message, parsed and bounded, and not looked at any closer; answers whether somebody waited for it. */
  message(value: unknown): boolean;
  /** The request of this id gets no answer any more; others may. */
  lost(id: unknown, error: AppError): void;
  /** Nothing more can come of it: it has to be killed. */
  broken(error: AppError): void;
}
