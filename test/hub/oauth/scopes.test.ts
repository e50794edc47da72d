import { describe, expect, it } from 'vitest';
import { covers, knownScopes, neededScope, scopeToEnter, touches } from '../../../hub/oauth/scopes.ts';
import { verifies } from '../../support/verifies.ts';

const MAP = {
  everything: { skills: ['*'] },
  office: { skills: ['a/notes', 'a/mail'] },
  notes: { skills: ['a/notes'] },
  'notes:read': { skills: ['a/notes'], tools: ['read', 'list'] },
  'tables:query': { skills: ['a/tables'], tools: ['query'] },
};

describe('a scope', () => {
  it(
    'opens its skills, or of these the tools that it names and nothing else',
    verifies('oauth.scopes'),
    () => {
      expect(covers(MAP, ['notes'], { skill: 'a/notes', tool: 'write' })).toBe(true);
      expect(covers(MAP, ['notes'], { skill: 'a/notes' })).toBe(true);
      expect(covers(MAP, ['notes'], { skill: 'a/mail', tool: 'read' })).toBe(false);
      expect(covers(MAP, ['notes:read'], { skill: 'a/notes', tool: 'read' })).toBe(true);
      expect(covers(MAP, ['notes:read'], { skill: 'a/notes', tool: 'write' })).toBe(false);
      expect(covers(MAP, ['notes:read'], { skill: 'a/notes' })).toBe(false);
      expect(touches(MAP, ['notes:read'], 'a/notes')).toBe(true);
      expect(touches(MAP, ['notes:read'], 'a/mail')).toBe(false);
    },
  );

  it('that is not configured opens nothing, whatever its name', verifies('oauth.scopes'), () => {
    const odd = ['constructor', '__proto__', 'toString', 'unknown', ''];
    expect(knownScopes(MAP, odd)).toEqual([]);
    expect(covers(MAP, [], { skill: 'a/notes' })).toBe(false);
    expect(knownScopes(MAP, ['notes', 'everything', 'notes'])).toEqual(['everything', 'notes']);
  });

  it('to ask for is the one that opens least beside what is wanted', verifies('oauth.scopes'), () => {
    expect(neededScope(MAP, { skill: 'a/notes', tool: 'read' })).toBe('notes:read');
    expect(neededScope(MAP, { skill: 'a/notes', tool: 'write' })).toBe('notes');
    expect(neededScope(MAP, { skill: 'a/mail', tool: 'send' })).toBe('office');
    expect(neededScope(MAP, { skill: 'b/other', tool: 'any' })).toBe('everything');
    const { everything: _all, ...narrow } = MAP;
    expect(neededScope(narrow, { skill: 'b/other' })).toBeUndefined();
    expect(neededScope(narrow, { skill: 'a/tables' })).toBeUndefined();
    expect(scopeToEnter(narrow, 'a/tables')).toBe('tables:query');
    expect(scopeToEnter(MAP, 'a/notes')).toBe('notes:read');
    expect(scopeToEnter(narrow, 'b/other')).toBeUndefined();
  });
});
