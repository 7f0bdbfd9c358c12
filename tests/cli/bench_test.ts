/**
 * `rlcf bench` as a process, quick, on a small network.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { onlyObject, Workplace } from "./support.ts";

interface Row {
  readonly backend: string;
  readonly op: string;
  readonly batch_size: number;
  readonly ms_median: number;
  readonly ms_p10: number;
  readonly per_second: number;
}

interface Result {
  readonly device: string;
  readonly checkpoint: { readonly version: string; readonly path: string } | null;
  readonly rows: readonly Row[];
  readonly agreement: readonly {
    readonly backend: string;
    readonly against: string;
    readonly max_rel_error: number;
  }[];
  readonly data: { readonly source: string; readonly episodes: number };
  readonly stored: string | null;
}

const QUICK = ["bench", "--quick", "--seconds", "1"];

Deno.test("bench measures, compares, and keeps its result beside the active checkpoint and in its row", async () => {
  using place = new Workplace();
  await place.fill(40);
  await place.run(["train"]);
  const { stored, ...result } = onlyObject(
    await place.run([...QUICK, "--backend", "cpu,wasm", "--backend", "cpu", "--json"]),
  ) as unknown as Result;
  assert.equal(result.checkpoint?.version, "v1.0.0");
  assert.deepEqual(result.data, { ...result.data, source: "database", episodes: 40 });
  for (const backend of ["cpu", "wasm"]) {
    const measured = result.rows.filter((row) => row.backend === backend).map(({ op, batch_size }) => [op, batch_size]);
    assert.deepEqual(measured.slice(0, 4), [["forward", 1], ["forward", 1000], ["train_step", 1], ["train_step", 32]]);
    const stages = measured.slice(4).map(([op]) => op);
    assert.deepEqual(stages, ["load", "prepare", "train_pass", "checkpoint", "end_to_end"]);
  }
  for (const row of result.rows) {
    for (const name of ["ms_median", "ms_p10", "per_second"] as const) assert.ok(row[name] > 0, JSON.stringify(row));
  }
  assert.deepEqual(new Set(result.agreement.map(({ backend, against }) => `${backend} ${against}`)).size, 3);
  for (const { max_rel_error } of result.agreement) assert.ok(max_rel_error < 1e-5);

  assert.equal(stored, join(place.policies, "gating-v1.0.0", "bench.json"));
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(stored!)), result);
  const shown = onlyObject(await place.run(["policy", "show", "--json"])) as { bench?: unknown };
  assert.deepEqual(shown.bench, result);
  const stats = onlyObject(await place.run(["stats", "--json"])) as { active?: { bench?: unknown } };
  assert.deepEqual(stats.active?.bench, result);
  const { stderr: text } = await place.run(["policy", "show"]);
  assert.match(text, /\bcpu, train step of 32 +\S+ ms, p10 \S+, \S+\/s, n [\d,]+\n/);
  assert.match(text, /\bwasm to float64 +relative error \d\.\de-\d+\n/);
  assert.match((await place.run(["stats"])).stderr, /\bbench +\S+ episodes\/s on (?:cpu|wasm) at batch \d+/);
  // The file is none of the manifest's, and the checkpoint is as whole as before.
  assert.equal((await place.run(["policy", "verify"])).code, 0);
});

Deno.test("without data or an active policy bench simulates a log, says so, and leaves nothing behind", async () => {
  using place = new Workplace();
  const { code, stdout, stderr } = await place.run([...QUICK, "--backend", "cpu", "--batch-sizes", "3"]);
  assert.deepEqual([code, stdout], [0, ""]);
  assert.match(stderr, /log +200 episodes from a throw-away SQLite file, simulated/);
  assert.match(stderr, /weights +fresh/);
  assert.match(stderr, /training step, ms +batch 3\n/);
  assert.match(stderr, /not stored: no policy is active/);
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), ["small.yaml"]);
});

Deno.test("bench refuses what it cannot measure before it measures anything", async () => {
  using place = new Workplace();
  const refused: [string[], number, RegExp][] = [
    [["--backend", "tpu"], 2, /--backend: found "tpu", wanted one of webgpu, simd, wasm, cpu/],
    [["--batch-sizes", "1,0"], 2, /--batch-sizes: found "0", wanted a whole number from 1 to 65536/],
    [["--seconds", "soon"], 2, /--seconds: found "soon", wanted a whole number from 1 to 3600/],
  ];
  for (const [flags, code, message] of refused) {
    const finished = await place.run(["bench", ...flags, "--json"]);
    assert.equal(finished.code, code);
    assert.match((onlyObject(finished) as { error: { message: string } }).error.message, message);
  }
});

Deno.test("a broken active checkpoint is told, not measured", async () => {
  using place = new Workplace();
  await place.fill(20);
  await place.run(["train"]);
  const file = join(place.policies, "gating-v1.0.0", "policy.safetensors");
  const bytes = Deno.readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  Deno.writeFileSync(file, bytes);
  assert.equal((await place.run([...QUICK, "--backend", "cpu"])).code, 6);
});
