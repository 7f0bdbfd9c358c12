/**
 * The frame of every drawing: one coordinate system, a title and a description for those who do not see it.
 *
 * @module
 */
import { type Markup, markup, type Part } from "../markup.ts";

/** What every drawing has. */
export interface Caption {
  /** Unique in the page: lower-case letters, digits and dashes. */
  readonly id: string;
  /** What is drawn. */
  readonly title: string;
  /** What there is to see in it, with the numbers that matter. */
  readonly description: string;
}

/** Width of a drawing's coordinate system: about that of a phone, so that its letters stay readable there. */
export const WIDTH = 400;

/** An SVG of the given height that scales with the page. */
export function drawing(caption: Caption, height: number, content: Part, width = WIDTH): Markup {
  const { id, title, description } = caption;
  return markup`<svg viewBox="0 0 ${places(width)} ${
    places(height)
  }" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">${title}</title><desc id="${id}-text">${description}</desc>
${content}</svg>`;
}

/** A coordinate, to a tenth: more would only make the file longer. */
export function places(value: number): string {
  return String(Math.round(10 * value) / 10);
}

/** A straight line. */
export function line(kind: string, x1: number, y1: number, x2: number, y2: number): Markup {
  return markup`<line class="${kind}" x1="${places(x1)}" y1="${places(y1)}" x2="${places(x2)}" y2="${places(y2)}"/>`;
}

/** A piece of text; `anchor` says which end of it stands at x. */
export function label(
  kind: string,
  x: number,
  y: number,
  text: string,
  anchor: "start" | "middle" | "end" = "start",
): Markup {
  return markup`<text class="${kind}" x="${places(x)}" y="${places(y)}" text-anchor="${anchor}">${text}</text>`;
}

/** Text that fits into so many letters, the rest cut off. */
export function fitting(text: string, letters: number): string {
  const all = [...text];
  return all.length > letters ? `${all.slice(0, letters - 1).join("")}…` : text;
}
