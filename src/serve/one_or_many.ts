/**
 * A body that holds one record, or many under one name. Of many, each is judged by itself: one that is wrong takes no
 * other with it.
 *
 * @module
 */
import { expectArray, expectObject, type JsonObject, unwanted } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { type ErrorDetail, invalid } from "./errors.ts";
import type { Schema } from "./schema.ts";

/** A record that was read, or why it could not be. */
export type Judged<T> = { readonly value: T } | { readonly error: ErrorDetail };

/** What was sent: one record, or many. */
export interface OneOrMany<T> {
  /** Whether one record was the whole body: its error is then that of the request. */
  readonly isSingle: boolean;
  /** The records, in order. */
  readonly records: readonly Judged<T>[];
}

/**
 * One record as the whole body, or `{NAME: [record, ...]}`.
 *
 * @param read what remains to be checked after the declaration; throws RlcfError("usage")
 */
export function oneOrMany<S, T>(
  name: string,
  record: Schema<S>,
  maxRecords: number,
  read: (declared: S, json: JsonObject) => T,
): Schema<OneOrMany<T>> {
  const many: JsonObject = {
    type: "object",
    required: [name],
    properties: { [name]: { type: "array", items: record.json, minItems: 1, maxItems: maxRecords } },
    additionalProperties: false,
  };
  const readOne = (value: unknown): T => read(record.read(value, ""), value as JsonObject);
  return {
    json: { oneOf: [record.json, many] },
    isOptional: false,
    read: (value) => {
      const json = expectObject(value, "body");
      if (!Object.hasOwn(json, name)) return { isSingle: true, records: [{ value: readOne(json) }] };
      for (const other of Object.keys(json)) {
        if (other !== name) unwanted(json[other], other, `no field beside ${name}`);
      }
      const records = expectArray(json[name], name);
      if (records.length === 0 || records.length > maxRecords) {
        unwanted(records, name, `an array of 1 to ${maxRecords} records`);
      }
      return { isSingle: false, records: records.map((each, i) => judged(() => readOne(each), `${name}[${i}]`)) };
    },
  };
}

/** What some work gives, or its error as the detail of a record. Defects and failures of the server go through. */
function judged<T>(work: () => T, where: string): Judged<T> {
  try {
    return { value: work() };
  } catch (thrown) {
    if (!(thrown instanceof RlcfError) || thrown.code !== "usage") throw thrown;
    return { error: invalid(thrown, where).detail };
  }
}
