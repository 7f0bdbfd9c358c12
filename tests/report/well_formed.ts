/**
 * A reader of HTML that is stricter than any browser: every element closed in order, every attribute quoted.
 *
 * @module
 */
import assert from "node:assert/strict";

const VOID = new Set(["meta"]);

/** What a page holds. */
export interface PageContent {
  /** Element names in order of appearance. */
  readonly elements: readonly string[];
  /** Names of all attributes. */
  readonly attributes: ReadonlySet<string>;
  /** Text outside of tags and style, entities decoded. */
  readonly text: string;
}

/** Reads a page or a piece of one; asserts that it is well formed and that ids are unique and found where named. */
export function readMarkup(markup: string): PageContent {
  const body = markup.replace(/^<!doctype html>/, "").replaceAll(/<!--.*?-->/gs, "").replace(
    /<style>.*?<\/style>/s,
    "",
  );
  const open: string[] = [];
  const elements: string[] = [];
  const attributes = new Set<string>();
  const ids: string[] = [];
  const named: string[] = [];
  let text = "";
  let at = 0;
  for (const match of body.matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<>]*")*)\s*(\/?)>/g)) {
    const between = body.slice(at, match.index);
    assert.doesNotMatch(between, /[<>]/, "a stray angle bracket");
    text += between;
    at = match.index + match[0].length;
    const [, closing, name, rest, self] = match;
    if (closing === "/") {
      assert.equal(open.pop(), name, `</${name}> closes another element`);
      continue;
    }
    elements.push(name!);
    if (self !== "/" && !VOID.has(name!)) open.push(name!);
    for (const [, attribute, value] of rest!.matchAll(/([\w:-]+)="([^"]*)"/g)) {
      attributes.add(attribute!);
      if (attribute === "id") ids.push(value!);
      if (attribute === "aria-labelledby") named.push(...value!.split(" "));
    }
  }
  assert.doesNotMatch(body.slice(at), /[<>]/);
  assert.deepEqual(open, [], "an element is not closed");
  assert.equal(new Set(ids).size, ids.length, "an id is used twice");
  for (const id of named) assert.ok(ids.includes(id), `nothing has the id ${id}`);
  return { elements, attributes, text: decode(text) };
}

function decode(text: string): string {
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return text.replaceAll(/&(\w+|#39);/g, (_, name) => entities[name] ?? assert.fail(`the entity ${name}`));
}
