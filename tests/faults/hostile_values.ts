/**
 * What fuzzing puts into records: values that break parsers, databases and terminals, and ways to put them anywhere.
 *
 * @module
 */
import fc from "fast-check";

/** Texts that are more than they seem: control characters, half pairs, NUL, names of JavaScript, numbers in words. */
export const HOSTILE_TEXTS: readonly string[] = [
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "\udfff\ud800",
  "\ufeff",
  "\r\n",
  "\n",
  "\x1b]0;owned\x07",
  "\x1b[2J\x1b[1;1H",
  "\x9b31m",
  "\u202etxt.exe",
  "<script>alert(1)</script>",
  "'; drop table rlcf_traces; --",
  "${7*7}",
  "../../../etc/passwd",
  "__proto__",
  "constructor",
  "toString",
  "NaN",
  "Infinity",
  "-0",
  "1e400",
  "🏴‍☠️".repeat(50),
  "x".repeat(300),
  "0000-01-01T00:00:00Z",
  "0001-01-01T00:00:00+14:00",
  "9999-12-31T23:59:59-14:00",
  "2026-02-30T25:61:00Z",
  "2026-01-01T00:00:00.123456789Z",
];

/** Numbers at the ends of what float64, float32, PostgreSQL's integer and a score can hold. */
const HOSTILE_NUMBERS: readonly number[] = [
  ...[0, -0, 1, -1, 1 + 2 ** -52, 0.5, -1e-300, 5e-324, -5e-324, 1e308, -1e308, 1e39, -1e39, -103.97, -104, -1e6],
  ...[2 ** 31, -(2 ** 31) - 1, 2 ** 53, 2 ** 53 + 2, 1e21],
];

/** Names of fields, known ones and others. */
export const hostileKey: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("trace", "feedback", "user_id", "user_authority", "policy_version", "query_text", "source"),
  fc.constantFrom("query_id", "actions", "metadata", "reward", "created_at", "parameters", "log_prob", "timestamp"),
  fc.constantFrom("weight", "expert_type", "query_embedding", "$column", "overall_rating", "retrieval_feedback"),
  fc.constantFrom(...HOSTILE_TEXTS),
  fc.string({ unit: "binary", maxLength: 8 }),
);

const leaf = fc.oneof(
  fc.constantFrom(...HOSTILE_TEXTS),
  fc.constantFrom(...HOSTILE_NUMBERS),
  fc.double(),
  fc.constantFrom(null, true, false),
  fc.string({ unit: "binary", maxLength: 20 }),
);

/** Any JSON with such texts, numbers and names. */
export const hostileJson: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(hostileKey, tie("value"), { maxKeys: 4 }),
  ),
})).value;

/** Changes one place of a record: puts a value there, removes or doubles it, or adds a field beside it. */
export type Mutation = (record: unknown) => void;

/** A change of any kind anywhere in a record. */
export const mutation: fc.Arbitrary<Mutation> = fc.record({
  where: fc.nat(10_000),
  value: fc.oneof({ weight: 3, arbitrary: leaf }, { weight: 1, arbitrary: hostileJson }),
  key: hostileKey,
  kind: fc.constantFrom("put", "put", "put", "remove", "double", "add"),
}).map(({ where, value, key, kind }) => (record) => {
  const places = placesOf(record);
  const [holder, name] = places[where % places.length]!;
  if (kind === "put") define(holder, name, value);
  else if (kind === "remove") Reflect.deleteProperty(holder, name);
  else if (kind === "add") define(holder, Array.isArray(holder) ? String(holder.length) : key, value);
  else if (Array.isArray(holder)) holder.push(holder[Number(name)]);
});

/** Every place of a JSON value: the object or array, and the name in it. */
function placesOf(value: unknown): [object, string][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).flatMap((name): [object, string][] => [
    [value, name],
    ...placesOf((value as Record<string, unknown>)[name]),
  ]);
}

function define(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true });
}

/** Changes a JSON text itself: what no object could hold, such as a key twice, NaN, 1e400 or a cut. */
export const mutatedText: fc.Arbitrary<(text: string) => string> = fc.oneof(
  fc.tuple(
    fc.nat(2000),
    fc.constantFrom(
      ...["NaN", "-Infinity", "1e400", "-1e400", "-0", "0x10", "01", "+1", ".5", "1.", "1e-400", "null", "undefined"],
      ...['"\\u0000"', '"\\ud800"', '"\\x"', "[[[[", "{", "}", ",", '"', "\\", "\0", "\ufeff", "\n", "//", "'a'"],
      ...['{"a":1,"a":2}', '{"__proto__":{"x":1}}', "1".repeat(400)],
    ),
    fc.constantFrom("number", "anywhere"),
  ).map(([where, piece, place]) => (text: string) => {
    if (place === "anywhere") {
      const at = where % text.length;
      return text.slice(0, at) + piece + text.slice(at);
    }
    const numbers = [...text.matchAll(/-?\d+\.?\d*/g)];
    const { index, 0: found } = numbers[where % numbers.length]!;
    return text.slice(0, index) + piece + text.slice(index + found.length);
  }),
  fc.nat(2000).map((where) => (text: string) => text.slice(0, where % text.length)),
  fc.tuple(fc.constantFrom("query_id", "log_prob", "trace"), hostileJson).map(([key, value]) => (text: string) =>
    text.replace(`"${key}":`, `"${key}":${JSON.stringify(value)},"${key}":`)
  ),
);
