import { isIP } from 'node:net';
import { hostCovers } from '../../protocol/permissions.ts';
import { plainAddress } from './addresses.ts';
import type { EgressRule } from './egress.ts';

/** Looked at before anything is lower-cased: there are letters beyond ASCII whose small one is a letter of ASCII. */
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
/** How many characters a name has (RFC 1035 §2.3.4). */
const LONGEST_NAME = 253;

/**
 * A name as rules spell it: lower case, no dot at the end. Undefined for what no rule could name, addresses too:
 * `hostCovers` must not be asked whether `*.x.org` covers a text that another reader would take apart differently.
 */
export function readName(text: string): string | undefined {
  const name = text.replace(/\.$/, '');
  if (name.length > LONGEST_NAME || isIP(name) !== 0) return undefined;
  return name.split('.').every((label) => LABEL.test(label)) ? name.toLowerCase() : undefined;
}

/** Whether any rule names the host, on whatever port. */
export function isNamed(rules: readonly EgressRule[], host: string): boolean {
  return rules.some((rule) => fits(rule, host));
}

/**
 * The rules by which a host is reached at a port. An exact one wins over a wildcard, and a longer wildcard over a shorter
 * one, so that an address that was named for one host is not passed by through the wildcard above it. Of one host there
 * may be several, of different protocols.
 */
export function rulesFor(rules: readonly EgressRule[], host: string, port: number): EgressRule[] {
  const fitting = rules.filter((rule) => rule.port === port && fits(rule, host));
  const closest = Math.max(...fitting.map(closeness));
  return fitting.filter((rule) => closeness(rule) === closest);
}

/** The wildcard by which a name may be asked for; undefined for one that is named itself. */
export function wildcardOf(rules: readonly EgressRule[], name: string): string | undefined {
  if (rules.some(({ host }) => host === name)) return undefined;
  return rules.find((rule) => fits(rule, name))?.host;
}

function fits(rule: EgressRule, host: string): boolean {
  if (isIP(rule.host) !== 0) return plainAddress(rule.host) === host;
  return isIP(host) === 0 && hostCovers(rule.host, host);
}

function closeness({ host }: EgressRule): number {
  return host.startsWith('*.') ? host.length : Infinity;
}
