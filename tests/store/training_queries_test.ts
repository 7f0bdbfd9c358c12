import assert from "node:assert/strict";
import { countQuery, type Cursor, PageQueries, pageQuery } from "../../src/store/training_queries.ts";
import { testOnEach, type TestStore } from "./databases.ts";
import { openAt, plansOf } from "./plans.ts";

const WINDOW = { since: "2025-01-02T00:00Z", until: "2025-01-04T00:00Z", maxFeedback: 100_000 };
const FIRST = { cursor: undefined, limit: 1000, withFeedback: true };
const NEXT = { ...FIRST, cursor: { createdAt: "2025-01-03T00:00:00.000Z", id: crypto.randomUUID() } };
/** Traces with feedback, a minute apart: more than a database would rather read whole. */
const ROWS = 20_000;

/** Fills the store behind its back: only the shape of the tables matters here. */
async function fill({ store, query }: TestStore): Promise<void> {
  const sqlite = store.dialect === "sqlite";
  const series = sqlite
    ? `with recursive s (i) as (select 0 union all select i + 1 from s where i < ${ROWS - 1})`
    : `with s (i) as (select generate_series(0, ${ROWS - 1}))`;
  const id = (digit: number): string => {
    const text = `'${digit}0000000-0000-4000-8000-' || `;
    return sqlite ? `${text}printf('%012d', i)` : `(${text}lpad(i::text, 12, '0'))::uuid`;
  };
  const time = sqlite
    ? "strftime('%Y-%m-%dT%H:%M:%fZ', '2025-01-01', i || ' minutes')"
    : "'2025-01-01T00:00Z'::timestamptz + make_interval(mins => i)";
  await query(
    `insert into rlcf_traces (id, query_id, actions, num_actions, total_log_prob, metadata, log_kind, gating_weights,
      has_feedback, created_at)
    ${series} select ${id(1)}, 'q' || i, '[]', 0, 0, '{}', 'none', '{}', ${sqlite ? 1 : true}, ${time} from s
    returning id`,
  );
  await query(
    `insert into rlcf_feedback (id, trace_id, user_authority, overall_score, feedback, created_at)
    ${series} select ${id(2)}, ${id(1)}, 1, 0.5, '{}', ${time} from s returning id`,
  );
  // SQLite plans without statistics, as nobody gathers them; PostgreSQL's own housekeeping does both by and by.
  if (!sqlite) await query("vacuum analyze");
}

testOnEach("every page is a walk along the index on time, from its cursor on, without sorting", async (on) => {
  await fill(on);
  const [first, next] = await plansOf(on, (db) => [pageQuery(db, WINDOW, FIRST), pageQuery(db, WINDOW, NEXT)]);
  const [bounds, cursor] = on.store.dialect === "sqlite"
    ? [
      /SEARCH f USING INDEX rlcf_feedback_by_time \(created_at>\? AND created_at<\?\)/,
      /SEARCH f USING INDEX rlcf_feedback_by_time \(created_at>\? AND \(created_at,id\)<\(\?,\?\)\)/,
    ]
    : [
      /Index Scan Backward using rlcf_feedback_by_time[^\n]*\n *Index Cond: \(\(created_at <= [^\n]*created_at >= /,
      /Index Scan Backward using rlcf_feedback_by_time[^\n]*\n *Index Cond: \(\(?ROW\(created_at, id\) < ROW/,
    ];
  assert.match(first!, bounds);
  assert.match(next!, cursor);
  const [open] = await plansOf(on, (db) => [pageQuery(db, { ...WINDOW, since: null }, NEXT)]);
  assert.match(
    open!,
    on.store.dialect === "sqlite" ? /rlcf_feedback_by_time \(\(created_at,id\)<\(\?,\?\)\)/ : cursor!,
  );
  for (const plan of [first!, next!, open!]) {
    assert.match(plan, /sqlite_autoindex_rlcf_traces_1|rlcf_traces_pkey/);
    assert.doesNotMatch(plan, /sort|temp b-tree|hash/i);
  }
});

testOnEach("counting reads the index on time alone", async (on) => {
  await fill(on);
  const [plan] = await plansOf(on, (db) => [countQuery(db, WINDOW)]);
  assert.match(plan!, /USING COVERING INDEX rlcf_feedback_by_time|Index Only Scan using rlcf_feedback_by_time/);
  assert.doesNotMatch(plan!, /rlcf_traces/);
});

testOnEach("the number counted is the number that the pages hold, with and without a version", async (on) => {
  await fill(on);
  await on.query("update rlcf_traces set policy_version = 'v1' where query_id like '%7' returning id");
  // Minutes 1440 to 4320, of which every tenth ends with 7.
  assert.equal(await on.store.countTrainingRows(WINDOW), 2881);
  assert.equal(await on.store.countTrainingRows({ ...WINDOW, policyVersion: "v1" }), 288);
  assert.equal(await on.store.countTrainingRows({ ...WINDOW, policyVersion: "v1", maxFeedback: 100 }), 100);
  let rows = 0;
  for await (const page of on.store.readTrainingRows({ ...WINDOW, policyVersion: "v1" })) rows += page.length;
  assert.equal(rows, 288);
});

Deno.test("the queries of a reading are those that are built page by page", async () => {
  const cursors: (Cursor | undefined)[] = [
    undefined,
    ...[1, 2, 3].map((day) => ({ createdAt: `2025-01-0${day}T00:00:00.000Z`, id: crypto.randomUUID() })),
  ];
  for (const url of ["sqlite:///:memory:", "postgresql://nobody@localhost/none"]) {
    const db = openAt(url);
    for (const window of [WINDOW, { ...WINDOW, since: null }, { ...WINDOW, policyVersion: "v1" }]) {
      for (const columns of [{ withFeedback: true }, { withFeedback: false, log: "react" as const }]) {
        const queries = new PageQueries(db, window, columns);
        // The last page of a window may be a smaller one.
        for (const [limit, of] of [[250, cursors], [7, cursors.slice(2)]] as const) {
          for (const cursor of of) {
            const { sql, parameters } = pageQuery(db, window, { ...columns, cursor, limit });
            const found = queries.page(cursor, limit);
            assert.deepEqual({ sql: found.sql, parameters: found.parameters }, { sql, parameters });
          }
        }
      }
    }
    await db.destroy();
  }
});
