/**
 * `rlcf demo` as a process.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { onlyObject, rlcf, start, Workplace } from "./support.ts";

/** A small demonstration. */
const SMALL = ["--episodes", "80", "--epochs", "1"];

Deno.test("demo --json compares the routings and leaves nothing behind", async () => {
  using place = new Workplace();
  const env = { TMPDIR: place.path };
  const finished = await rlcf(["demo", "--json", "--config", place.config, ...SMALL], { env, cwd: place.path });
  assert.equal(finished.code, 0, finished.stderr);
  const { table, report } = onlyObject(finished) as unknown as {
    table: { routing: string; value: number; accuracy: number | null }[];
    report: { status: string; version: string };
  };
  assert.deepEqual([report.status, report.version], ["completed", "v1.0.0"]);
  const values = Object.fromEntries(table.map(({ routing, value }) => [routing, value]));
  assert.ok(values.uniform! < values.oracle!);
  assert.equal(table.length, 5);
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), ["small.yaml"]);
});

Deno.test("demo --keep keeps a database that stats can read", async () => {
  using place = new Workplace();
  const kept = join(place.path, "kept");
  const { code, stdout, stderr } = await rlcf(["demo", "--keep", kept, "--config", place.config, ...SMALL]);
  assert.deepEqual([code, stdout], [0, "v1.0.0\n"]);
  assert.match(stderr, /uniform .*\n.*logging/);
  const stats = onlyObject(await rlcf(["stats", "--json", "--database", `sqlite:///${join(kept, "demo.db")}`]));
  assert.equal(stats.total_traces, 80);
});

Deno.test("demo refuses --database and numbers it cannot use, with 2", async () => {
  for (const args of [["--database", "sqlite:///real.db"], ["--episodes", "5"], ["--episodes", "many"]]) {
    const { code, stderr } = await rlcf(["demo", ...args]);
    assert.equal(code, 2);
    assert.match(stderr, /^error: .*(--database|--episodes)/);
  }
});

Deno.test("an interrupted demo exits with 130 and removes its temporary files", async () => {
  using place = new Workplace();
  place.configure("  epochs: 1000");
  const child = start(["demo", "--config", place.config], { env: { TMPDIR: place.path }, cwd: place.path });
  const stdout = new Response(child.stdout).text();
  let told = "";
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    if (told.includes("episodes to train on")) continue;
    told += chunk;
    if (told.includes("episodes to train on")) child.kill("SIGINT");
  }
  assert.deepEqual([(await child.status).code, await stdout], [130, ""]);
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), ["small.yaml"]);
});
