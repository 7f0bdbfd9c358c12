/**
 * The commands as processes for policies of the other types: an agent's (react), and that of traversals.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { ReActPolicy } from "../../src/policy/react_policy.ts";
import { agentRecords, traversalRecords } from "../../src/simulate/decision_logs.ts";
import { ReActWorld } from "../../src/simulate/react_world.ts";
import type { IngestRecord } from "../../src/store/persistence.ts";
import { type Finished, onlyObject, Workplace } from "./support.ts";

const REACT = ["--policy-type", "react"];
const TRAVERSAL = ["--policy-type", "traversal"];

/** A workplace with small networks of every type. */
function workplace(): Workplace {
  const place = new Workplace();
  place.configure("  epochs: 2\nreact_policy:\n  state_dim: 6\n  hidden_dim: 4\ntraversal_policy:\n  hidden_dim: 4");
  return place;
}

/** Stores records by way of `rlcf ingest`. */
async function ingest(place: Workplace, records: readonly IngestRecord[]): Promise<Finished> {
  const lines = records.map(({ trace, feedback, feedbackContext }) =>
    JSON.stringify({
      trace: trace.toJSON(),
      feedback: feedback!.toJSON(),
      user_id: feedbackContext!.userId,
      user_authority: feedbackContext!.userAuthority,
    })
  );
  return await place.run(["ingest", place.write("more.jsonl", lines.join("\n"))]);
}

async function agentLog(episodes: number): Promise<IngestRecord[]> {
  await using policy = await ReActPolicy.create({ stateDim: 6, hiddenDim: 4, seed: 0, backend: "cpu" });
  return await agentRecords(new ReActWorld({ seed: 1, stateDim: 6 }), policy, { episodes, seed: 1 });
}

const traversalLog = (episodes: number): IngestRecord[] =>
  traversalRecords({ inputDim: 8, relations: ["MODIFICA", "CITATO_DA"] }, { episodes, seed: 2 });

Deno.test("an agent's log goes from ingest to answers, and every command knows whose version is meant", async () => {
  using place = workplace();
  assert.equal((await ingest(place, await agentLog(150))).code, 0);
  const trained = onlyObject(await place.run(["train", ...REACT, "--json"])) as {
    status: string;
    policy_type: string;
    version: string;
    evaluation: { candidate: Record<string, unknown>; limits: string[] };
  };
  assert.deepEqual([trained.status, trained.policy_type, trained.version], ["completed", "react", "v1.0.0"]);
  assert.deepEqual(
    Object.keys(trained.evaluation.candidate).slice(0, 5),
    ["trajectory_is", "weighted_is", "per_decision_is", "weighted_per_decision_is", "doubly_robust"],
  );
  assert.equal(trained.evaluation.limits.length, 3);

  const stats = onlyObject(await place.run(["stats", ...REACT, "--json"])) as {
    training: Record<string, unknown>;
    active: Record<string, unknown>;
    active_versions: unknown;
  };
  const { policy_type, available, usable, episodes } = stats.training;
  assert.deepEqual([policy_type, available, usable, episodes], ["react", 150, 150, 150]);
  assert.deepEqual([stats.active.policy_type, stats.active_versions], ["react", { react: "v1.0.0" }]);

  const listed = onlyObject(await place.run(["policy", "list", ...REACT, "--json"])) as { checkpoints: unknown[] };
  assert.equal(listed.checkpoints.length, 1);
  assert.deepEqual(onlyObject(await place.run(["policy", "list", "--json"])), { checkpoints: [] });
  const verified = onlyObject(await place.run(["policy", "verify", ...REACT, "--json"])) as { status: string };
  assert.equal(verified.status, "intact");
  assert.equal((await place.run(["policy", "tag", "v1.0.0", "first", ...REACT])).code, 0);

  const evaluated = onlyObject(await place.run(["evaluate", ...REACT, "--json"])) as {
    policy_type: string;
    versions: { version: string; doubly_robust: number }[];
  };
  assert.deepEqual([evaluated.policy_type, evaluated.versions[0]!.version], ["react", "v1.0.0"]);
  assert.ok(Number.isFinite(evaluated.versions[0]!.doubly_robust));

  const page = join(place.path, "report.html");
  assert.equal((await place.run(["report", ...REACT, "--output", page])).code, 0);
  const text = Deno.readTextFileSync(page);
  assert.match(text, /Which actions are taken/);
  assert.match(text, /Single queries are not shown for an agent/);
  assert.doesNotMatch(text, /Who gets the queries|undefined|NaN/);

  const state = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
  const stdin = [{ query_id: "a", state }, { query_id: "b", state: [1] }, { query_id: "c", query_embedding: state }]
    .map((query) => JSON.stringify(query)).join("\n");
  const routed = await place.run(["route", ...REACT], { stdin });
  assert.equal(routed.code, 2);
  assert.match(routed.stderr, /stdin:2: state: found 1 numbers, wanted 6/);
  const answer = onlyObject(routed) as {
    query_id: string;
    weights: Record<string, number>;
    log_probs: Record<string, number>;
    value: number;
    policy_version: string;
  };
  assert.deepEqual([answer.query_id, answer.policy_version], ["a", "v1.0.0"]);
  const probabilities = Object.values(answer.weights);
  assert.equal(probabilities.length, 7);
  assert.ok(Math.abs(probabilities.reduce((sum, p) => sum + p, 0) - 1) < 1e-6);
  assert.ok(Math.abs(answer.log_probs.final_answer! - Math.log(answer.weights.final_answer!)) < 1e-5);
  assert.ok(Number.isFinite(answer.value));
});

Deno.test("an agent's weights are exported as one file for PyTorch and refused for the rest", async () => {
  using place = workplace();
  await ingest(place, await agentLog(40));
  await place.run(["train", ...REACT]);
  const file = join(place.path, "agent.safetensors");
  assert.equal((await place.run(["export", ...REACT, "--output", file])).code, 0);
  const { tensors } = decodeSafetensors(Deno.readFileSync(file), file);
  assert.deepEqual(tensors["actor.0.weight"]!.shape, [4, 6]);
  assert.deepEqual(tensors["critic.6.weight"]!.shape, [1, 2]);
  const onnx = await place.run(["export", ...REACT, "--format", "onnx"]);
  assert.deepEqual([onnx.code, /cannot export a react policy as onnx/.test(onnx.stderr)], [2, true]);
  const traversal = await place.run(["export", ...TRAVERSAL]);
  assert.deepEqual([traversal.code, /cannot export a traversal policy/.test(traversal.stderr)], [2, true]);
});

Deno.test("traversals are learned, weighed and reported on", async () => {
  using place = workplace();
  await ingest(place, traversalLog(80));
  const dry = onlyObject(await place.run(["train", ...TRAVERSAL, "--dry-run", "--json"])) as {
    data: { usable: number; episodes: number; objective: string };
  };
  assert.equal(dry.data.usable, 80);
  assert.ok(dry.data.episodes > 80);
  assert.equal((await place.run(["train", ...TRAVERSAL])).code, 0);
  const query_embedding = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
  const stdin = ["MODIFICA", "NEVER_HEARD_OF"].map((relation_type) =>
    JSON.stringify({ query_id: "q", query_embedding, relation_type })
  ).join("\n");
  const { stdout } = await place.run(["route", ...TRAVERSAL], { stdin });
  const answers = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(answers.map(({ known_relation }) => known_relation), [true, false]);
  for (const { weight, log_prob } of answers) {
    assert.ok(weight > 0 && weight < 1 && Math.abs(log_prob - Math.log(weight)) < 1e-4);
  }
  const evaluated = await place.run(["evaluate", ...TRAVERSAL]);
  assert.match(evaluated.stderr, /what several together would change is not estimated/);
  const page = join(place.path, "report.html");
  assert.equal((await place.run(["report", ...TRAVERSAL, "--output", page])).code, 0);
  assert.match(Deno.readTextFileSync(page), /How often relations are followed/);
});

Deno.test("too little data is exit code 3 with the reason, and leaves neither version nor session", async () => {
  using place = workplace();
  await place.fill(20);
  for (const [type, reason] of [[REACT, "no_react_steps"], [TRAVERSAL, "no_traversal"]] as const) {
    const { code, stderr } = await place.run(["train", ...type]);
    assert.equal(code, 3);
    assert.match(stderr, new RegExp(`Insufficient feedback: 0 of 10 usable .*left out: 20 ${reason}`));
  }
  const { sessions, checkpoints } = onlyObject(await place.run(["stats", "--json"])) as {
    sessions: unknown[];
    checkpoints: unknown[];
  };
  assert.deepEqual([sessions, checkpoints], [[], []]);
});

Deno.test("options that mean nothing for a type, and types that do not exist, are refused", async () => {
  using place = workplace();
  const epochs = await place.run(["train", ...REACT, "--epochs", "3"]);
  assert.deepEqual([epochs.code, /react_policy\.num_epochs/.test(epochs.stderr)], [2, true]);
  for (const command of ["train", "route", "evaluate", "bench", "stats"]) {
    const { code, stderr } = await place.run([command, "--policy-type", "oracle"], { stdin: "" });
    assert.equal(code, 2, command);
    assert.match(stderr, /found the text "oracle", wanted one of gating, react, traversal/);
  }
});

Deno.test("bench times the agent's network and its way from the log, and keeps the result with its version", async () => {
  using place = workplace();
  await ingest(place, await agentLog(60));
  await place.run(["train", ...REACT]);
  const bench = ["bench", "--quick", "--seconds", "1", "--backend", "cpu", "--json"];
  const result = onlyObject(await place.run([...bench, ...REACT])) as {
    checkpoint: { policy_type: string };
    network: unknown;
    rows: { op: string }[];
    data: { source: string; episodes: number; objective: string };
    agreement: { agrees: boolean }[];
  };
  assert.equal(result.checkpoint.policy_type, "react");
  assert.deepEqual(result.network, { input_dim: 6, hidden_dim: 4, outputs: 7 });
  const { source, episodes, objective } = result.data;
  assert.deepEqual([source, episodes, objective], ["database", 60, "ppo"]);
  assert.deepEqual(result.rows.map(({ op }) => op).slice(-5), [
    ...["load", "prepare", "train_pass", "checkpoint", "end_to_end"],
  ]);
  assert.ok(result.agreement.every(({ agrees }) => agrees));
  // Where nothing of the type is stored, a log of it is simulated.
  const simulated = onlyObject(await place.run([...bench, ...TRAVERSAL])) as typeof result;
  assert.deepEqual([simulated.checkpoint, simulated.data.source], [null, "simulated"]);
});
