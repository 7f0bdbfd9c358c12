/**
 * How the three routings look in every drawing: different shapes and fills, so that colour is never needed.
 *
 * @module
 */
import { type Markup, markup } from "../markup.ts";
import type { Role } from "../report_data.ts";
import { places } from "./drawing.ts";

/** A point: a hollow circle for the log, a square for the version before, a filled diamond for the new one. */
export function mark(role: Role, x: number, y: number): Markup {
  const at = (dx: number, dy: number): string => `${places(x + dx)} ${places(y + dy)}`;
  switch (role) {
    case "logged":
      return markup`<circle class="mark logged" cx="${places(x)}" cy="${places(y)}" r="5"/>`;
    case "previous":
      return markup`<path class="mark previous" d="M${at(-5, -5)}L${at(5, -5)}L${at(5, 5)}L${at(-5, 5)}Z"/>`;
    case "version":
      return markup`<path class="mark version" d="M${at(0, -7)}L${at(7, 0)}L${at(0, 7)}L${at(-7, 0)}Z"/>`;
  }
}

/** The pattern that fills the version before; once in every drawing that has bars. */
export function hatching(id: string): Markup {
  return markup`<defs><pattern id="${id}" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-ground" width="5" height="5"/><line class="hatch" x1="0" y1="0" x2="0" y2="5"/></pattern></defs>`;
}
