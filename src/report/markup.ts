/**
 * HTML that cannot be broken into: whatever is put into a {@link markup} template is escaped unless it is markup itself.
 *
 * @module
 */

/** A piece of HTML or SVG that is safe to put into a page. Only {@link markup} and {@link trusted} make one. */
export class Markup {
  /** The text as it stands in the page. */
  readonly text: string;

  /**
   * Takes the text at its word.
   *
   * @param text safe as it is
   */
  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes: texts and numbers are escaped, lists are joined, null and false leave nothing. */
export type Part = Markup | string | number | null | undefined | false | readonly Part[];

/** A template of HTML: `` markup`<p>${text}</p>` ``. Attributes must stand in double quotes. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.reduce((text, piece, i) => text + render(parts[i - 1]) + piece));
}

/** A text of the program's own, such as its style sheet, as it is. Never for anything that was stored. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

function render(part: Part): string {
  if (part === null || part === undefined || part === false) return "";
  if (part instanceof Markup) return part.text;
  return Array.isArray(part) ? part.map(render).join("") : escapeText(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * A text for the content of an element or a quoted attribute. Control characters, which HTML forbids, are replaced, and
 * so are those that turn the direction of what follows (UAX 9): a name could otherwise reverse the number beside it.
 */
export function escapeText(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.toWellFormed().replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "\ufffd").replace(
    /[&<>"']/g,
    (c) => ENTITIES[c]!,
  );
}

/** A text that somebody wrote, kept from turning the direction of what stands around it, and no longer than said. */
export function quoted(text: string, longest = 600): Markup {
  const letters = [...text];
  return markup`<bdi>${letters.length > longest ? `${letters.slice(0, longest).join("")}…` : text}</bdi>`;
}
