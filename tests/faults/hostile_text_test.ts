/**
 * Texts that nobody meant to write, into the readers of configurations, URLs, traces and feedback.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { maskedUrl } from "../../src/base/secrets.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import { parseDatabaseUrl } from "../../src/store/url.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { problemsOf, resolveText } from "../config/support.ts";
import { HOSTILE_TEXTS, hostileJson, hostileKey } from "./hostile_values.ts";

/** fast-check prints the seed and the smallest example where a property fails. */
const SEED = 20261122;

/** What the action gives, or the refusal that a user can understand; throws on any other failure. */
function unlessRefused<T>(action: () => T): T | RlcfError {
  try {
    return action();
  } catch (thrown) {
    assert.ok(thrown instanceof RlcfError && thrown.code === "usage", `not a refusal: ${thrown}`);
    return thrown;
  }
}

Deno.test("YAML that is nested too deeply is one problem, however it is written", () => {
  const deep = ["training: " + "[".repeat(60_000), "training: " + "{a: ".repeat(30_000), "? ".repeat(60_000)]
    .concat("- ".repeat(60_000), Array.from({ length: 1300 }, (_, i) => `${" ".repeat(i)}a:\n`).join(""));
  for (const text of deep) {
    const problems = problemsOf(text);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0]!, /^c\.yaml:\d+:\d+: found hundreds of levels of nesting, wanted two$/);
  }
});

Deno.test("a bomb of aliases, merge keys, tags and a second document are refused, not unfolded", () => {
  const bomb = ["a0: &a0 [x, x]"]
    .concat(Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}]`), "training: *a40");
  const refused: readonly [string, RegExp][] = [
    [bomb.join("\n"), /found the section "a0"/],
    ["training: &t {seed: 1}\ngating_policy: *t", /gating_policy: found an alias/],
    ["training: {seed: &s 1, epochs: *s}", /training\.epochs: found an alias, wanted the value itself/],
    ["training: {<<: {seed: 1}}", /found the key "<<"/],
    ["training: !!js/function 'function () {}'", /not valid YAML: Unresolved tag/],
    ["training: !!python/object/apply:os.system ['id']", /not valid YAML: Unresolved tag/],
    ["training: {seed: !!binary aGk=}", /not valid YAML|training\.seed: found/],
    ["training: {seed: 1, seed: 2}", /found the key "seed" again/],
    ["training: {}\n---\ntraining: {seed: 1}", /found a second document/],
    ["__proto__: {polluted: 1}", /found the section "__proto__"/],
    ["training: {__proto__: 1}", /found the key "__proto__" in training/],
    [`training: {seed: ${"9".repeat(100_000)}}`, /training\.seed: found Infinity/],
    [`training: {objective: "${"x".repeat(500_000)}"}`, /training\.objective: found the text "x{40}\.\.\."/],
    [`database: {url: "${"x".repeat(500_000)}"}`, /database\.url: found a text of 500000 characters/],
    [`checkpoint: {directory: "a\\0b"}`, /checkpoint\.directory: found the text "a\\u0000b"/],
  ];
  for (const [text, wanted] of refused) {
    const problems = problemsOf(text);
    assert.ok(problems.some((problem) => wanted.test(problem)), `${text.slice(0, 80)}: ${problems.join("\n")}`);
    assert.ok(problems.join("").length < 30_000);
  }
});

Deno.test("anchors, aliases, tags and merges in any arrangement give a configuration or a refusal", () => {
  const piece = fc.constantFrom(
    ...[
      "&a ",
      "*a",
      "<<: *a",
      "!!str ",
      "!!int ",
      "!x ",
      "!!set ",
      "? ",
      ": ",
      "- ",
      "training: ",
      "seed: ",
      "1",
      ".inf",
    ],
    ...[
      "[",
      "]",
      "{",
      "}",
      ", ",
      "\n",
      "\n  ",
      "\n    ",
      "|\n  x\n",
      ">-\n",
      "'",
      '"',
      "#",
      "%YAML 1.1\n---\n",
      "...\n",
    ],
    ...HOSTILE_TEXTS,
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
  fc.assert(fc.property(text, (given) => void unlessRefused(() => resolveText(given))), { seed: SEED, numRuns: 4000 });
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("a password with any characters, escaped, arrives at the server and is shown nowhere", () => {
  const password = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 6, maxLength: 24 }),
    fc.array(fc.constantFrom(..."p@s:/?#[]%&=+ ;'\"\\$*"), { minLength: 6, maxLength: 16 }).map((c) => c.join("")),
  ).map((text) => `S3c${text.toWellFormed().replaceAll("\0", "")}r3t`);
  const scheme = fc.constantFrom("postgresql", "postgres", "postgresql+asyncpg", "POSTGRESQL");
  const tail = fc.constantFrom("", "?sslmode=require", "?application_name=x@y", "?ssl=disable&options=-c%20a%3Db");
  const place = fc.constantFrom("user", "parameter");
  fc.assert(
    fc.property(password, scheme, tail, place, (secret, name, rest, where) => {
      const escaped = encodeURIComponent(secret);
      const url = where === "user"
        ? `${name}://someone:${escaped}@db.example:5432/rlcf${rest}`
        : `${name}://someone@db.example/rlcf${rest === "" ? "?" : `${rest}&`}password=${escaped}`;
      const target = parseDatabaseUrl(url);
      assert.ok(target.dialect === "postgres");
      assert.equal(target.password, secret);
      for (const hidden of [secret, escaped]) assert.ok(!target.location.includes(hidden), target.location);
      assert.match(target.location, /db\.example.*rlcf|\*\*\*/);
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

Deno.test("any text is a database's URL or refused, and neither way shows a password", () => {
  const piece = fc.constantFrom(
    ...[
      "sqlite",
      "sqlite+aiosqlite",
      "postgresql",
      "postgres+x",
      "mysql",
      "file",
      "http",
      "javascript",
      "SQLITE",
      "\\\\",
    ],
    ...[":", "://", ":///", ":////", "/", "//", "@", "?", "#", "%", "%00", "%zz", "%2e%2e", "..", "[", "]", "::1", "&"],
    ...["user", ":memory:", "host", "5432", "99999", "-1", "db", "sslmode=", "require", "password=", " ", "\t", "\n"],
    ...HOSTILE_TEXTS,
  );
  const url = fc.oneof(
    { weight: 2, arbitrary: fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom("sqlite:///", "postgresql://user@host"), fc.array(piece, { maxLength: 6 }))
        .map(([start, pieces]) => start + pieces.join("")),
    },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
  );
  let accepted = 0;
  fc.assert(
    fc.property(url, (given) => {
      const found = unlessRefused(() => parseDatabaseUrl(given));
      if (found instanceof RlcfError) assert.ok(found.message.length < 1500, found.message);
      else {
        accepted++;
        assert.ok(found.dialect === "sqlite" ? found.path !== "" : /^postgresql:\/\//.test(found.url));
      }
    }),
    { seed: SEED, numRuns: 8000 },
  );
  assert.ok(accepted > 100, `only ${accepted} were accepted: the test does not reach that side`);
  // The same with a password where one belongs: whatever surrounds it, it is not in the message.
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), fc.array(piece, { maxLength: 5 }), (before, after) => {
      const given = `postgresql://${before.filter((text) => !/[/@?#:=&]/.test(text)).join("")}:hunter2@${
        after.join("")
      }`;
      const found = unlessRefused(() => parseDatabaseUrl(given));
      assert.ok(!(found instanceof RlcfError ? found.message : found.location).includes("hunter2"), given);
      assert.ok(!maskedUrl(given).includes("hunter2"), given);
    }),
    { seed: SEED, numRuns: 4000 },
  );
});

Deno.test("any JSON is a trace or refused, and what was read is written back the same", () => {
  let accepted = 0;
  const trace = fc.oneof(
    hostileJson,
    fc.dictionary(hostileKey, hostileJson, { maxKeys: 5 }).map((fields) => ({ query_id: "q", ...fields })),
  );
  fc.assert(
    fc.property(trace, (json) => {
      const found = unlessRefused(() => ExecutionTrace.fromJSON(json));
      if (found instanceof RlcfError) return;
      accepted++;
      assert.deepEqual(ExecutionTrace.fromJSON(JSON.parse(JSON.stringify(found))).toJSON(), jsonOf(found));
    }),
    { seed: SEED, numRuns: 4000 },
  );
  assert.ok(accepted > 50, `only ${accepted} were accepted: the test does not reach that side`);
});

Deno.test("any JSON is feedback or refused, and its score lies from 0 to 1", () => {
  let accepted = 0;
  const names = ["retrieval_feedback", "reasoning_feedback", "synthesis_feedback", "overall_rating", "timestamp"];
  const level = fc.dictionary(
    fc.constantFrom("precision", "recall", "clarity", "legal_soundness", "metadata"),
    hostileJson,
  );
  const feedback = fc.oneof(
    hostileJson,
    fc.dictionary(fc.constantFrom(...names), fc.oneof(level, hostileJson), { maxKeys: 3 }).map((fields) => ({
      query_id: "q",
      ...fields,
    })),
    fc.dictionary(
      fc.constantFrom(...names.slice(0, 3)),
      fc.dictionary(fc.constantFrom("precision", "clarity"), fc.double()),
    )
      .map((fields) => ({ query_id: "q", ...fields })),
  );
  fc.assert(
    fc.property(feedback, (json) => {
      const found = unlessRefused(() => MultilevelFeedback.fromJSON(json));
      if (found instanceof RlcfError) return;
      accepted++;
      for (const scoring of ["given", "merlt"] as const) {
        const score = unlessRefused((): number => found.overallScore({ scoring }));
        assert.ok(score instanceof RlcfError || score >= 0 && score <= 1, String(score));
      }
    }),
    { seed: SEED, numRuns: 4000 },
  );
  assert.ok(accepted > 50, `only ${accepted} were accepted: the test does not reach that side`);
});

/** The JSON that arrives: -0 is written as 0. */
function jsonOf(trace: ExecutionTrace): unknown {
  return JSON.parse(JSON.stringify(trace));
}
