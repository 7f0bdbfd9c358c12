/**
 * Commands that are shown to a person who may copy them into a shell.
 *
 * @module
 */

/** The text as one word of a POSIX shell, which reads it back unchanged: paths and names come from anywhere. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
