/**
 * The answer to records that were sent to be stored.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import { type ErrorDetail, HttpError } from "../errors.ts";
import type { OneOrMany } from "../one_or_many.ts";
import type { Reply, Service } from "../service.ts";
import { type NewRecord, storeRecords, type Written } from "../store_records.ts";

/**
 * Stores what was sent and answers: 201 or 200 for one record, new or known; 200 with the outcome of each for many.
 *
 * @param describe what is told of a record of which these became of its entries
 */
export async function replyTo(
  service: Service,
  { isSingle, records }: OneOrMany<NewRecord>,
  describe: (record: NewRecord, written: readonly Written[]) => JsonObject,
): Promise<Reply> {
  const valid = records.filter((record) => "value" in record).map(({ value }) => value);
  const outcomes = valid.length === 0 ? [] : await storeRecords(service, valid);
  let next = 0;
  const results = records.map((record, i): JsonObject => {
    if ("error" in record) {
      service.metrics.records.add({ kind: "record", outcome: "rejected" });
      return rejected(record.error);
    }
    const outcome = outcomes[next++]!;
    if (!(outcome instanceof HttpError)) return describe(record.value, outcome);
    if (isSingle) throw outcome;
    const { detail } = outcome;
    const at = `records[${i}]`;
    return rejected({ ...detail, field: detail.field === undefined ? at : `${at}.${detail.field}` });
  });
  if (isSingle) {
    const [result] = results;
    const isNew = (outcomes[0] as readonly Written[]).includes("stored");
    return { status: isNew ? 201 : 200, body: result! };
  }
  const count = (status: string): number => results.filter((result) => result.status === status).length;
  const counts = { stored: count("stored"), duplicates: count("duplicate"), rejected: count("rejected") };
  return { status: 200, body: { ...counts, results } };
}

function rejected(error: ErrorDetail): JsonObject {
  return { status: "rejected", error };
}
