/**
 * As much of JSON Schema as the description uses. A keyword that is not known here is an error, so that no part of a
 * schema goes unchecked.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";

type Json = Readonly<Record<string, unknown>>;

/** Keywords that restrict nothing. */
const NOTES = new Set(["description", "examples", "title"]);

const FORMATS: Readonly<Record<string, RegExp>> = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  "date-time": /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/,
};

/** Everything that is wrong with a value, empty if nothing is. `components` are for `$ref`. */
export function problems(schema: Json, value: unknown, components: Json = {}, at = "$"): string[] {
  return Object.entries(schema).flatMap(([keyword, wanted]) => {
    if (NOTES.has(keyword)) return [];
    const found = check(keyword, wanted, schema, value, components, at);
    return found;
  });
}

function check(keyword: string, wanted: unknown, schema: Json, value: unknown, components: Json, at: string): string[] {
  const fail = (is: boolean): string[] => is ? [] : [`${at}: ${keyword} ${JSON.stringify(wanted)}`];
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  switch (keyword) {
    case "$ref":
      return problems(components[(wanted as string).split("/").at(-1)!] as Json, value, components, at);
    case "type":
      return fail([wanted].flat().some((type) => isOf(type as string, value)));
    case "const":
      return fail(value === wanted);
    case "enum":
      return fail((wanted as unknown[]).some((one) => isDeepStrictEqual(one, value)));
    case "oneOf":
      return fail((wanted as Json[]).filter((one) => problems(one, value, components).length === 0).length === 1);
    case "required":
      return !isObject ? [] : (wanted as string[]).filter((name) => !Object.hasOwn(value as Json, name))
        .map((name) => `${at}.${name}: missing`);
    case "properties":
      return !isObject ? [] : Object.entries(wanted as Record<string, Json>)
        .filter(([name]) => Object.hasOwn(value as Json, name))
        .flatMap(([name, inner]) => problems(inner, (value as Json)[name], components, `${at}.${name}`));
    case "additionalProperties":
      return !isObject ? [] : Object.entries(value as Json)
        .filter(([name]) => !Object.hasOwn(schema.properties as Json ?? {}, name))
        .flatMap(([name, inner]) =>
          wanted === false ? [`${at}.${name}: unknown`] : problems(wanted as Json, inner, components, `${at}.${name}`)
        );
    case "items":
      return !Array.isArray(value)
        ? []
        : value.flatMap((inner, i) => problems(wanted as Json, inner, components, `${at}[${i}]`));
    case "minItems":
      return fail(!Array.isArray(value) || value.length >= (wanted as number));
    case "maxItems":
      return fail(!Array.isArray(value) || value.length <= (wanted as number));
    case "minLength":
      return fail(typeof value !== "string" || value.length >= (wanted as number));
    case "maxLength":
      return fail(typeof value !== "string" || value.length <= (wanted as number));
    case "format":
      return fail(typeof value !== "string" || FORMATS[wanted as string]!.test(value));
    case "minimum":
      return fail(typeof value !== "number" || value >= (wanted as number));
    case "maximum":
      return fail(typeof value !== "number" || value <= (wanted as number));
    case "exclusiveMinimum":
      return fail(typeof value !== "number" || value > (wanted as number));
    default:
      throw new Error(`${at}: unknown keyword ${keyword}`);
  }
}

function isOf(type: string, value: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  // deno-lint-ignore valid-typeof -- the names that are left are those of JavaScript
  return typeof value === type;
}
