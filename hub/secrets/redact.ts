/** Lines of a longer secret, such as a key in PEM form, are taken out singly from this length on. */
const MIN_LINE_CHARS = 16;

/** A text in which a secret may stand, and the name it goes by. */
interface Needle {
  text: string;
  name: string;
}

/**
 * Takes secrets out of texts: whole, as JSON writes them, and line by line, each replaced by its name. A longer
 * one goes before a shorter one, so that nothing is left of a secret that begins like another. Values shorter
 * than `atLeast` characters stay, for they would blot out ordinary words. Undefined when there is nothing to find.
 */
export function redaction(
  secrets: Iterable<readonly [name: string, value: string]>,
  atLeast: number,
): ((text: string) => string) | undefined {
  const needles = [...secrets]
    .flatMap(([name, value]): Needle[] => [
      { name, text: value },
      { name, text: JSON.stringify(value).slice(1, -1) },
      ...value
        .split(/\r?\n/)
        .filter((line) => line.length >= MIN_LINE_CHARS)
        .map((text) => ({ name, text })),
    ])
    .filter(({ text }) => text.length >= atLeast)
    .toSorted((a, b) => b.text.length - a.text.length);
  if (needles.length === 0) return undefined;
  return (text) =>
    needles.reduce((rest, { name, text: secret }) => rest.replaceAll(secret, `[secret ${name}]`), text);
}
