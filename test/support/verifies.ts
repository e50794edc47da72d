import type { TestOptions } from 'vitest';
import type { RequirementId } from '../requirements.ts';

/**
 * Marks a test as the proof of promises in `requirements.ts`:
 * `it('a yanked version is not resolved', verifies('registry.yank'), async () => …)`.
 */
export function verifies(...ids: RequirementId[]): TestOptions {
  return { tags: [], meta: { requirements: ids } } as TestOptions;
}
