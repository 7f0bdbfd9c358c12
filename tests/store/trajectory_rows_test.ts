import assert from "node:assert/strict";
import { loadTrajectories } from "../../src/episodes/load_trajectories.ts";
import { ingestRecordFromJson } from "../../src/store/ingest_line.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";
import { collect, testOnEach } from "./databases.ts";
import { rating, sampledTrace, vector } from "./records.ts";
import { refusal } from "./refusals.ts";

const WINDOW = { since: null, until: "2100-01-01T00:00:00Z", maxFeedback: 1000 };
const OPTIONS = { stateDim: 6, actionNames: ["search", "read", "answer"], feedbackWeighting: "authority" } as const;

/** Three steps, the second a tool's. */
function agentTrace(queryId: string, createdAt?: string): ExecutionTrace {
  return new ExecutionTrace({ queryId, ...(createdAt === undefined ? {} : { createdAt }) })
    .addReActStep({ state: vector(6), action: "search", logProb: -0.5, value: 0.25, reward: -0.125 })
    .addToolUse({
      toolName: "read",
      logProb: -1,
      parameters: { article: "52" },
      metadata: { tokens: 7, react: { state: vector(6, 1), value: 0.375 } },
    })
    .addToolUse({ toolName: "clock", logProb: 0 })
    .addReActStep({ state: vector(6, 2), action: "answer", logProb: -0.25, value: 0.5, done: true });
}

testOnEach("the states of steps are stored once, as little-endian float32, and read back whole", async (on) => {
  const trace = agentTrace("q1");
  const id = await on.store.saveTrace(trace);
  const [row] = await on.query("select * from rlcf_traces");
  assert.deepEqual(
    new Float32Array(new Uint8Array(row!.react_states as Uint8Array).buffer),
    Float32Array.from([...vector(6), ...vector(6, 1), ...vector(6, 2)]),
  );
  const json = JSON.stringify(row!.actions).replaceAll("\\", "");
  assert.equal(json.match(/"state":\s?\{"\$column":\s?"react_states"\}/g)?.length, 3, json);
  assert.ok(!json.includes("1.125"));
  assert.deepEqual((await on.store.getTrace(id))?.toJSON(), trace.toJSON());
});

testOnEach("a trace without steps has neither steps nor states", async ({ store, query }) => {
  await store.saveTrace(sampledTrace("q1"));
  const [row] = await query("select react_steps, react_states from rlcf_traces");
  assert.deepEqual([row!.react_steps, row!.react_states], [null, null]);
});

testOnEach("steps whose states differ in length, or are missing, keep what they have in the JSON", async (on) => {
  const uneven = new ExecutionTrace({ queryId: "q1" })
    .addReActStep({ state: [1, 2], action: "search", logProb: -1, value: 0 })
    .addReActStep({ state: [3], action: "search", logProb: -1, value: 0 });
  const missing = agentTrace("q2").addToolUse({ toolName: "read", logProb: -1, metadata: { react: { value: 0.5 } } });
  for (const trace of [uneven, missing]) {
    const id = await on.store.saveTrace(trace);
    assert.deepEqual((await on.store.getTrace(id))?.toJSON(), trace.toJSON());
    await on.store.saveFeedback(id, rating(trace.queryId, 0.5));
  }
  const rows = await on.query("select react_states from rlcf_traces");
  assert.deepEqual(rows.map((row) => row.react_states), [null, null]);
  const { size, skipped } = await loadTrajectories(on.store, WINDOW, { ...OPTIONS, scoring: "given" });
  assert.deepEqual([size, skipped], [0, { no_state: 2 }]);
});

testOnEach(
  "training reads steps and states beside the feedback, newest first, within the window",
  async ({ store }) => {
    for (const [i, day] of ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"].entries()) {
      const trace = i === 2 ? sampledTrace(`q${i}`, `${day}T00:00Z`) : agentTrace(`q${i}`, `${day}T00:00Z`);
      const id = await store.saveTrace(trace, { policyVersion: i === 0 ? "v1.0.0" : "v1.0.1" });
      await store.saveFeedback(id, rating(`q${i}`, (i + 1) / 8, `${day}T12:00Z`), { userId: "u", userAuthority: 0.5 });
    }
    const rows = await collect(store.readTrajectoryRows(WINDOW));
    assert.deepEqual(rows.map((row) => row.queryId), ["q3", "q2", "q1", "q0"]);
    assert.deepEqual([rows[1]!.steps, rows[1]!.states], [null, null]);
    const { traceId: _, ...row } = rows[0]!;
    assert.deepEqual(row, {
      queryId: "q3",
      steps: [
        { action: "search", logProb: -0.5, value: 0.25, reward: -0.125, done: false },
        { action: "read", logProb: -1, value: 0.375, reward: null, done: false },
        { action: "answer", logProb: -0.25, value: 0.5, reward: null, done: true },
      ],
      states: Float32Array.from([...vector(6), ...vector(6, 1), ...vector(6, 2)]),
      score: 0.5,
      userAuthority: 0.5,
      userId: "u",
    });
    const read = async (window: object): Promise<string[]> =>
      (await collect(store.readTrajectoryRows({ ...WINDOW, ...window }))).map(({ queryId }) => queryId);
    assert.deepEqual(await read({ maxFeedback: 2 }), ["q3", "q2"]);
    assert.deepEqual(await read({ since: "2025-01-02T12:00Z", until: "2025-01-03T12:00Z" }), ["q2", "q1"]);
    assert.deepEqual(await read({ policyVersion: "v1.0.0" }), ["q0"]);
    assert.deepEqual(await read({ maxFeedback: 0 }), []);
  },
);

testOnEach("more rows than a page holds come all, once", async ({ store }) => {
  const records = Array.from({ length: 450 }, (_, i) => {
    const trace = agentTrace(`q${i}`);
    return {
      trace,
      traceContext: { id: crypto.randomUUID() },
      feedback: rating(`q${i}`, 0.5),
      feedbackContext: { id: crypto.randomUUID() },
    };
  });
  await store.ingest(records);
  const rows = await collect(store.readTrajectoryRows(WINDOW));
  assert.equal(new Set(rows.map(({ queryId }) => queryId)).size, 450);
  const set = await loadTrajectories(store, WINDOW, { ...OPTIONS, scoring: "merlt" });
  assert.deepEqual([set.size, set.steps, set.feedbackRows, set.skipped], [450, 1350, 450, {}]);
});

testOnEach("damaged states are an error to who reads the trace, and a reason to who trains", async (on) => {
  const id = await on.store.saveTrace(agentTrace("q1"));
  await on.store.saveFeedback(id, rating("q1", 0.5));
  const short = on.store.dialect === "sqlite" ? "x'0102'" : "'\\x0102'";
  await on.query(`update rlcf_traces set react_states = ${short} returning id`);
  await assert.rejects(on.store.getTrace(id), refusal("database", /query q1: its ReAct states are damaged, found 2/));
  const { skipped } = await loadTrajectories(on.store, WINDOW, { ...OPTIONS, scoring: "given" });
  assert.deepEqual(skipped, { wrong_dimension: 1 });
});

testOnEach("a database from before the ReAct steps gets their columns when it is opened", async (on) => {
  const old = await on.store.saveTrace(sampledTrace("q1"));
  for (const column of ["react_steps", "react_states"]) {
    await on.query(`alter table rlcf_traces drop column ${column}`);
  }
  for (const index of ["training_sessions_one_result", "training_sessions_by_job"]) {
    await on.query(`drop index ${index}`);
  }
  await on.query("alter table training_sessions drop column job_id");
  await on.query("delete from rlcf_migration where name > '0001_initial'");
  await using store = await on.reopen();
  assert.deepEqual((await store.getTrace(old))?.toJSON().actions.length, 1);
  const id = await store.saveTrace(agentTrace("q2"));
  assert.deepEqual((await store.getTrace(id))?.numActions, 4);
});

testOnEach("the mark of a stored state cannot be forged", async ({ store }) => {
  const trace = ExecutionTrace.fromJSON({
    query_id: "q1",
    actions: [{
      action_type: "react_step",
      parameters: { action: "search" },
      log_prob: -1,
      metadata: { react: { state: { $column: "react_states" } } },
    }],
  });
  await assert.rejects(store.saveTrace(trace), refusal("usage", /state: found an object, wanted an array/));
});

Deno.test("a line of a log with ReAct steps is read; one with a broken state is refused", () => {
  const line = (react: object): unknown => ({
    trace: {
      query_id: "q1",
      actions: [{ action_type: "react_step", parameters: { action: "search" }, log_prob: -1, metadata: { react } }],
    },
    feedback: { overall_rating: 0.5 },
  });
  assert.equal(ingestRecordFromJson(line({ state: [1, 2], value: 0.5 })).trace.numActions, 1);
  assert.throws(
    () => ingestRecordFromJson(line({ state: [1, "x"], value: 0.5 })),
    /ReAct step 0 of query q1: state: entry 1: found the text "x"/,
  );
});
