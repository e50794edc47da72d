import type { Decision, PolicyRequest } from '../../protocol/policy.ts';

/** Decides every call. A required part of the hub: a policy that cannot answer must throw, and the call is refused. */
export interface Policy {
  decide(request: PolicyRequest): Promise<Decision>;
}
