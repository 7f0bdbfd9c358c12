import assert from "node:assert/strict";
import fc from "fast-check";
import { escapeText, markup, quoted, trusted } from "../../src/report/markup.ts";
import { readMarkup } from "./well_formed.ts";

Deno.test("a template escapes what it is given, in elements and in attributes, and leaves markup alone", () => {
  const hostile = `<script>alert("1")</script>' & co`;
  const built = markup`<p title="${hostile}">${hostile}${markup`<b>${1}</b>`}${["<i>", trusted("<br/>")]}</p>`;
  assert.equal(
    built.text,
    `<p title="${escapeText(hostile)}">${escapeText(hostile)}<b>1</b>&lt;i&gt;<br/></p>`,
  );
  assert.equal(escapeText(hostile), "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39; &amp; co");
});

Deno.test("null, undefined and false leave nothing, zero is a number", () => {
  assert.equal(markup`[${null}${undefined}${false}${0}]`.text, "[0]");
});

Deno.test("any text comes out of a page as it went in, and never as an element", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const { elements, text: read } = readMarkup(markup`<p title="${text}">${text}</p>`.text);
      assert.deepEqual(elements, ["p"]);
      // deno-lint-ignore no-control-regex
      assert.equal(read, text.toWellFormed().replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd"));
    }),
    { seed: 7 },
  );
});

Deno.test("a long text is cut between letters, and its direction is kept from its surroundings", () => {
  assert.equal(quoted("\u202e<b>\u2067").text, "<bdi>\ufffd&lt;b&gt;\ufffd</bdi>");
  assert.equal(quoted("😀😀😀", 2).text, "<bdi>😀😀…</bdi>");
});
