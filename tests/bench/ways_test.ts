import assert from "node:assert/strict";
import type { EndToEnd } from "../../src/bench/end_to_end.ts";
import { timingOf } from "../../src/bench/timing.ts";
import type { BenchSubject } from "../../src/bench/subjects.ts";
import { measureWays, type WaysRequest } from "../../src/bench/ways.ts";
import type { BackendName } from "../../src/engine/engine.ts";
import { RlcfError } from "../../src/base/errors.ts";
import { createPersistence } from "../../src/store/create.ts";
import { defaultConfig } from "../config/support.ts";

/** What the backends of a test take for all of the way, in milliseconds. */
type Times = Readonly<Partial<Record<BackendName, number>>>;

/** Goes the way with a log of 100 rows, 80 of them trained on; the backends in `broken` are replaced by simd. */
async function go(
  times: Times,
  broken: readonly BackendName[] = [],
  stored = 100,
  dead: readonly BackendName[] = [],
): Promise<
  Awaited<ReturnType<typeof measureWays>> & { readonly opened: readonly string[]; readonly simulated: number }
> {
  const opened: string[] = [];
  let simulated = 0;
  const subject = {
    config: defaultConfig(),
    readLog: () =>
      Promise.resolve({ split: { training: new Uint32Array(stored * 0.8) }, episodes: { feedbackRows: stored } }),
    passRows: ({ split }: { split: { training: Uint32Array } }) => split.training.length,
    simulate: (_store: unknown, episodes: number) => Promise.resolve(void (simulated = episodes)),
    open: (backend: BackendName) => {
      opened.push(backend);
      if (dead.includes(backend)) return Promise.reject(new RlcfError("backend", "the device was lost"));
      const fallbacks = broken.includes(backend) ? [{ from: backend, to: "simd", reason: "it was pulled out" }] : [];
      return Promise.resolve({
        backend: fallbacks.length > 0 ? "simd" : backend,
        fallbacks,
        measure: (): Promise<EndToEnd> =>
          Promise.resolve({
            timings: [timingOf("end_to_end", 100, [times[backend]!])],
            episodes: 100,
            objective: "soft",
          }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
  } as unknown as BenchSubject;
  await using store = await createPersistence("sqlite://");
  const request: WaysRequest = {
    store,
    subject,
    backends: Object.keys(times) as BackendName[],
    timeMs: 1,
    longestPassMs: 1000,
    msPerRow: (backend) => times[backend]! / 80,
    simulatedEpisodes: 50,
    scratch: await Deno.makeTempDir({ prefix: "rlcf-ways-" }),
  };
  try {
    return { ...await measureWays(request), opened, simulated };
  } finally {
    await Deno.remove(request.scratch, { recursive: true });
  }
}

Deno.test("every backend goes the way, and its rows carry its name", async () => {
  const { rows, skipped, data } = await go({ simd: 20, wasm: 30, cpu: 40 });
  assert.deepEqual(rows.map(({ backend, ms_median }) => [backend, ms_median]), [["simd", 20], ["wasm", 30], [
    "cpu",
    40,
  ]]);
  assert.deepEqual(skipped, []);
  assert.deepEqual(data, { source: "database", location: "sqlite://", episodes: 100, objective: "soft" });
});

Deno.test("a pass that would take too long is not made, unless nothing else was", async () => {
  const { rows, skipped, opened } = await go({ simd: 20, cpu: 2400 });
  assert.deepEqual([rows.map(({ backend }) => backend), opened], [["simd"], ["simd"]]);
  assert.deepEqual(skipped, [
    { backend: "cpu", reason: "its steps alone: one pass over the log would take about 2 s" },
  ]);
  const alone = await go({ cpu: 2400, simd: 20 });
  assert.deepEqual([alone.rows.map(({ backend }) => backend), alone.skipped], [["cpu", "simd"], []]);
});

Deno.test("a backend that fails on the way is told, and its substitute keeps its own times", async () => {
  const reason = "failed on the way from the log to a checkpoint, which simd ended: it was pulled out";
  for (const times of [{ webgpu: 500, simd: 20 }, { simd: 20, webgpu: 500 }]) {
    const { rows, skipped } = await go(times, ["webgpu"]);
    assert.deepEqual(rows.map(({ backend, ms_median }) => [backend, ms_median]), [["simd", 20]]);
    assert.deepEqual(skipped, [{ backend: "webgpu", reason }]);
  }
  const alone = await go({ webgpu: 500 }, ["webgpu"]);
  assert.deepEqual(alone.rows.map(({ backend, ms_median }) => [backend, ms_median]), [["simd", 500]]);
});

Deno.test("a backend that cannot be opened is told, and loses nothing of the others; if none can, that is the error", async () => {
  for (const times of [{ webgpu: 10, simd: 20 }, { simd: 20, webgpu: 10 }]) {
    const { rows, skipped } = await go(times, [], 100, ["webgpu"]);
    assert.deepEqual(rows.map(({ backend }) => backend), ["simd"]);
    assert.deepEqual(skipped, [
      { backend: "webgpu", reason: "failed on the way from the log to a checkpoint: the device was lost" },
    ]);
  }
  await assert.rejects(go({ webgpu: 10 }, [], 100, ["webgpu"]), /the device was lost/);
});

Deno.test("a log with next to nothing in it is replaced by a simulated one, once for all backends", async () => {
  const { data, simulated, opened } = await go({ simd: 20, wasm: 30 }, [], 5);
  assert.deepEqual([data.source, data.location, simulated], ["simulated", "a throw-away SQLite file", 50]);
  assert.deepEqual(opened, ["simd", "wasm"]);
});
