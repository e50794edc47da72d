/** Names of variables and flags whose value nobody else should see. */
const NAMES =
  /(?:^|[^a-z])(?:api|access|private|auth|app|client|secret|session|signing|encryption)?[_-]?(?:keys?|tokens?|secrets?|pass(?:word|phrase|wd)?|pwd|credentials?|pat|bearer|cookie|dsn)(?:$|[^a-z])/i;
/** Keys that say themselves whose they are. */
const PREFIXES =
  /^(?:sk-|sk_|pk_|rk_|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|glpat-|xox[abeprs]-|AKIA|ASIA|AIza|ya29\.|eyJ[\w-]+\.|hf_|npm_|shpat_|SG\.|lin_api_|ntn_|secret_|Bearer\s)/;
/** Bits a character; English words stay well below, random base64 and hex lie above. */
const RANDOM_ENTROPY = 3.5;
const RANDOM_MIN_CHARS = 20;

/** Whether a variable or flag of this name holds a secret. A path or a number of such a name does not. */
export function isSecretName(name: string): boolean {
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2');
  return NAMES.test(words) && !/(?:_|-)(?:file|path|dir|name|id|url|limit|count|length|size)$/i.test(words);
}

/**
 * Whether a value looks like a secret whatever it is called: a known prefix, an address with a password in it, or one
 * long word that is random by the look of it.
 */
export function isSecretValue(value: string): boolean {
  if (PREFIXES.test(value) || hasPassword(value)) return true;
  const isOneWord = /^[A-Za-z0-9+/=_-]+$/.test(value) && !value.startsWith('/');
  return (
    isOneWord &&
    value.length >= RANDOM_MIN_CHARS &&
    /\d/.test(value) &&
    /[A-Za-z]/.test(value) &&
    entropy(value) >= RANDOM_ENTROPY
  );
}

function hasPassword(value: string): boolean {
  return URL.canParse(value) && new URL(value).password !== '';
}

/** Shannon's, in bits a character. */
function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => {
    const share = count / text.length;
    return sum - share * Math.log2(share);
  }, 0);
}
