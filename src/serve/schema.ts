/**
 * Declarations of JSON that both check a body and describe it: one declaration is read by the server and printed in its
 * OpenAPI description, so that the two cannot differ.
 *
 * @module
 */
import { expectArray, expectNumber, expectObject, expectText, type JsonObject, unwanted } from "../base/check.ts";
import { embeddingOf } from "../trace/gating_decision.ts";

/** What a JSON value must be. */
export interface Schema<T> {
  /** The same as JSON Schema (draft 2020-12, the dialect of OpenAPI 3.1). */
  readonly json: JsonObject;
  /** Whether the value may be absent or null. */
  readonly isOptional: boolean;
  /**
   * The value with its type. Throws RlcfError("usage") naming the place, what was found and what was wanted.
   *
   * @param where the place, e.g. `queries[2].seed`
   */
  read(value: unknown, where: string): T;
}

/** The type that a schema reads. */
export type Read<S> = S extends Schema<infer T> ? T : never;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A text that is not empty. */
export function text(description: string, maxLength = 255): Schema<string> {
  return schema({ type: "string", minLength: 1, maxLength, description }, (value, where) => {
    const read = expectText(value, where, maxLength);
    if (!read.isWellFormed()) unwanted(value, where, "valid Unicode (found half of a surrogate pair)");
    return read;
  });
}

/** A UUID, read in lower case. */
export function uuid(description: string): Schema<string> {
  return schema({ type: "string", format: "uuid", description }, (value, where) => {
    if (typeof value !== "string" || !UUID.test(value)) unwanted(value, where, "a UUID");
    return value.toLowerCase();
  });
}

/** A finite number in [min, max]; with `above`, larger than it. */
export function number(
  description: string,
  { min = -Infinity, max = Infinity, above }: { min?: number; max?: number; above?: number } = {},
): Schema<number> {
  const bounds = {
    ...(min === -Infinity ? {} : { minimum: min }),
    ...(max === Infinity ? {} : { maximum: max }),
    ...(above === undefined ? {} : { exclusiveMinimum: above }),
  };
  return schema({ type: "number", ...bounds, description }, (value, where) => {
    const read = expectNumber(value, where, min, max);
    if (above !== undefined && read <= above) unwanted(value, where, `a number above ${above}`);
    return read;
  });
}

/** A whole number in [min, max]. */
export function integer(description: string, min: number, max: number): Schema<number> {
  return schema({ type: "integer", minimum: min, maximum: max, description }, (value, where) => {
    const read = expectNumber(value, where, min, max);
    if (!Number.isInteger(read)) unwanted(value, where, "a whole number");
    return read;
  });
}

/** True or false. */
export function flag(description: string): Schema<boolean> {
  return schema({ type: "boolean", description }, (value, where) => {
    if (typeof value !== "boolean") unwanted(value, where, "true or false");
    return value;
  });
}

/** One of some texts. */
export function choice<T extends string>(description: string, values: readonly T[]): Schema<T> {
  return schema({ type: "string", enum: values, description }, (value, where) => {
    return values.find((known) => known === value) ?? unwanted(value, where, `one of ${values.join(", ")}`);
  });
}

/** An array of finite float32 numbers. */
export function vector(description: string): Schema<Float32Array> {
  return schema({ type: "array", items: { type: "number" }, minItems: 1, description }, embeddingOf);
}

/** An array of at least one value. */
export function list<T>(description: string, items: Schema<T>, maxItems: number): Schema<readonly T[]> {
  return schema({ type: "array", items: items.json, minItems: 1, maxItems, description }, (value, where) => {
    const entries = expectArray(value, where);
    if (entries.length === 0 || entries.length > maxItems) unwanted(value, where, `an array of 1 to ${maxItems}`);
    return entries.map((entry, i) => items.read(entry, `${where}[${i}]`));
  });
}

/** An object with these fields and no others. */
export function object<F extends Readonly<Record<string, Schema<unknown>>>>(
  fields: F,
  description?: string,
): Schema<{ readonly [K in keyof F]: Read<F[K]> }> {
  const names = Object.keys(fields);
  const required = names.filter((name) => !fields[name]!.isOptional);
  const json = {
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, fields[name]!.json])),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  };
  return schema(json, (value, where) => {
    const given = expectObject(value, where === "" ? "body" : where);
    const at = (name: string): string => where === "" ? name : `${where}.${name}`;
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(fields, name)) unwanted(given[name], at(name), `one of the fields ${names.join(", ")}`);
    }
    return Object.fromEntries(names.map((name) => [name, fields[name]!.read(given[name], at(name))])) as {
      readonly [K in keyof F]: Read<F[K]>;
    };
  });
}

/** The same, but it may be absent or null. */
export function optional<T>(inner: Schema<T>): Schema<T | undefined> {
  const { type, enum: values } = inner.json;
  const nullable = {
    ...(typeof type === "string" ? { type: [type, "null"] } : {}),
    ...(Array.isArray(values) ? { enum: [...values, null] } : {}),
  };
  return {
    json: { ...inner.json, ...nullable },
    isOptional: true,
    read: (value, where) => value === undefined || value === null ? undefined : inner.read(value, where),
  };
}

/** A value that is described here and read elsewhere: of it only its JSON type is checked. */
export function described(json: JsonObject): Schema<JsonObject> {
  return schema(json, expectObject);
}

function schema<T>(json: JsonObject, read: (value: unknown, where: string) => T): Schema<T> {
  return { json, isOptional: false, read };
}
