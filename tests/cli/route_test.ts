/**
 * `rlcf route` as a process, against the network's formula applied to the published file.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { embeddingOf, onlyObject, Workplace } from "./support.ts";

const EXPERTS = ["literal", "systemic", "principles", "precedent"];

/** A routed query as printed. */
interface Routed {
  readonly query_id: string;
  readonly weights: Record<string, number>;
  readonly log_probs: Record<string, number>;
  readonly policy_version: string;
}

Deno.test("route prints the softmax of the network in policy.safetensors, for the active version and for any other", async () => {
  using place = new Workplace();
  await place.fill(60);
  await place.run(["train"]);
  await place.run(["train"]);
  const queries = Array.from({ length: 300 }, (_, i) => ({ query_id: `q${i}`, query_embedding: embeddingOf(i) }));
  const file = place.write("queries.jsonl", queries.map((query) => JSON.stringify(query)).join("\n"));
  for (const [version, choice] of [["v1.0.1", []], ["v1.0.0", ["--policy-version", "v1.0.0"]]] as const) {
    const { code, stdout } = await place.run(["route", file, ...choice]);
    assert.equal(code, 0);
    const routed = stdout.trimEnd().split("\n").map((line): Routed => JSON.parse(line));
    const tensors = readSafetensors(join(place.policies, `gating-${version}`, "policy.safetensors"));
    assert.equal(routed.length, queries.length);
    for (const [i, { query_id, weights, log_probs, policy_version }] of routed.entries()) {
      assert.deepEqual([query_id, policy_version, Object.keys(weights)], [`q${i}`, version, EXPERTS]);
      const wanted = routeBy(tensors, embeddingOf(i));
      for (const [e, expert] of EXPERTS.entries()) {
        assert.ok(Math.abs(weights[expert]! - wanted[e]!) < 1e-5, `${query_id} ${expert}`);
        assert.ok(Math.abs(log_probs[expert]! - Math.log(wanted[e]!)) < 1e-4, `${query_id} ${expert}`);
      }
    }
  }
});

Deno.test("bad queries are told with their line, the good ones are routed, and the exit code is 2", async () => {
  using place = new Workplace();
  await place.fill(20);
  await place.run(["train"]);
  const good = JSON.stringify({ query_id: "good", query_embedding: embeddingOf(0) });
  const bad = [
    { query_id: "short", query_embedding: [1, 2] },
    { query_id: "null", query_embedding: [...embeddingOf(0).slice(1), null] },
    { query_id: "text", query_embedding: "0.5" },
    { query_embedding: embeddingOf(0) },
  ].map((query) => JSON.stringify(query));
  const stdin = [good, ...bad, good, "{"].join("\n");
  const { code, stdout, stderr } = await place.run(["route"], { stdin });
  assert.equal(code, 2);
  assert.equal(stdout.trimEnd().split("\n").length, 2);
  assert.match(stderr, /stdin:2: query_embedding: found 2 numbers, wanted 8/);
  assert.match(stderr, /5 lines could not be routed; the others were/);
  const json = onlyObject(await place.run(["route", "--json"], { stdin })) as unknown as {
    status: string;
    routes: Routed[];
    rejected: number;
  };
  assert.deepEqual([json.status, json.routes.length, json.rejected], ["failed", 2, 5]);
});

Deno.test("without an active policy route exits with 6 and says what to do", async () => {
  using place = new Workplace();
  const { code, stderr } = await place.run(["route"], { stdin: "" });
  assert.equal(code, 6);
  assert.match(stderr, /Policy checkpoint not found: no gating policy is active.*\nhint: Train one/);
});

type Tensors = Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** The official layout: the header's length in 8 bytes, the header as JSON, the bytes. */
function readSafetensors(path: string): Tensors {
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  delete header.__metadata__;
  return Object.fromEntries(
    Object.entries(header).map(([name, { shape, data_offsets: [start, end] }]) => [
      name,
      { shape, data: new Float32Array(bytes.slice(8 + length + start, 8 + length + end).buffer) },
    ]),
  );
}

/** Linear, ReLU, Linear, ReLU, Linear, softmax, in float64. */
function routeBy(tensors: Tensors, embedding: readonly number[]): number[] {
  const linear = (x: readonly number[], layer: number): number[] => {
    const { shape: [outputs = 0], data } = tensors[`${layer}.weight`]!;
    const { data: bias } = tensors[`${layer}.bias`]!;
    return Array.from(
      { length: outputs },
      (_, o) => x.reduce((sum, v, i) => sum + v * data[o * x.length + i]!, bias[o]!),
    );
  };
  const relu = (x: readonly number[]): number[] => x.map((v) => Math.max(0, v));
  const logits = linear(relu(linear(relu(linear(embedding, 0)), 3)), 6);
  const exponentials = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}
