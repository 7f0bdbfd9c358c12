/**
 * `rlcf train` as a process: its result, its exit codes, its flags and its interruption.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createPersistence } from "../../src/store/create.ts";
import { onlyObject, start, Workplace } from "./support.ts";

/** The keys of an object, nested ones with a dot; arrays and null count as values. */
function keysOf(json: object, prefix = ""): string[] {
  return Object.entries(json).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? keysOf(value, `${prefix}${key}.`)
      : [`${prefix}${key}`]
  );
}

Deno.test("train makes an active version whose files have the hash that --json tells, and goes on from it", async () => {
  using place = new Workplace();
  await place.fill(60);
  const first = onlyObject(await place.run(["train", "--json"]));
  const { metrics, evaluation, ...rest } = first;
  assert.deepEqual(
    keysOf({ ...rest, episodes: { ...(rest.episodes as object), skipped: [] } }).sort(),
    [
      ...["activated", "activation_reason", "backend", "backend_reason", "checkpoint.path", "checkpoint.sha256"],
      ...["device"],
      ...["episodes.available", "episodes.holdout", "episodes.outside_window.days_to_reach"],
      ...["episodes.outside_window.newer", "episodes.outside_window.older", "episodes.outside_window.oldest"],
      ...["episodes.skipped", "episodes.trained", "fallbacks", "parent_version"],
      ...["policy_type", "session_id", "status", "throughput.load_rows_per_s", "throughput.train_episodes_per_s"],
      ...["throughput.wall_s", "updates", "version"],
    ],
  );
  assert.equal(typeof metrics, "object");
  assert.equal(typeof evaluation, "object");
  assert.deepEqual(
    [first.status, first.policy_type, first.version, first.parent_version, first.activated, first.backend],
    ["completed", "gating", "v1.0.0", null, true, "cpu"],
  );
  const episodes = first.episodes as { available: number; trained: number; holdout: number };
  assert.equal(episodes.available, 60);
  assert.equal(episodes.trained + episodes.holdout, 60);

  const { path, sha256 } = first.checkpoint as { path: string; sha256: string };
  const manifest = await Deno.readFile(join(path, "manifest.json"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", manifest)).toHex();
  assert.equal(digest, sha256);

  const second = onlyObject(await place.run(["train", "--json"]));
  assert.deepEqual([second.version, second.parent_version], ["v1.0.1", "v1.0.0"]);
});

Deno.test("train without --json tells its story on stderr and only the version on stdout", async () => {
  using place = new Workplace();
  await place.fill(60);
  const { code, stdout, stderr } = await place.run(["train"]);
  assert.deepEqual([code, stdout], [0, "v1.0.0\n"]);
  assert.match(stderr, /training v1\.0\.0 from fresh weights on cpu \(plain JavaScript, 1 thread\): cpu was asked for/);
  assert.match(stderr, /60 found; none left out/);
  assert.match(stderr, /v1\.0\.0 activated/);
  // No colours and no cursor movements in a file.
  assert.ok(!stderr.includes("\x1b"));
});

Deno.test("--no-activate leaves the active policy alone", async () => {
  using place = new Workplace();
  await place.fill(60);
  const { activated } = onlyObject(await place.run(["train", "--no-activate", "--json"]));
  assert.equal(activated, false);
  const { active } = onlyObject(await place.run(["stats", "--json"]));
  assert.equal(active, null);
});

Deno.test("every flag of train reaches the configuration, and --dry-run writes nothing", async () => {
  using place = new Workplace();
  const flags: readonly [string[], string, unknown][] = [
    [["--max-episodes", "17"], "training.max_episodes", 17],
    [["--epochs", "3"], "training.epochs", 3],
    [["--seed", "99"], "training.seed", 99],
    [["--lookback-days", "5"], "database.lookback_days", 5],
    [["--backend", "wasm"], "compute.backend", "wasm"],
    [["--policy-type", "gating"], "training.policy_type", "gating"],
    [["--log-level", "warning"], "logging.level", "warning"],
    [["--no-activate"], "checkpoint.activate", "never"],
  ];
  const before = [...Deno.readDirSync(place.path)].map(({ name }) => name);
  const finished = await place.run(["train", "--dry-run", "--json", ...flags.flatMap(([words]) => words)]);
  assert.equal(finished.code, 0);
  const { status, config, data, backend } = onlyObject(finished) as unknown as {
    status: string;
    config: Record<string, { value: unknown; source: string }>;
    data: { available: number };
    backend: { name: string };
  };
  assert.deepEqual([status, data.available, backend.name], ["dry_run", 0, "wasm"]);
  for (const [[flag], key, value] of flags) {
    assert.deepEqual(config[key], { value, source: `flag ${flag}` });
  }
  assert.deepEqual(config["database.url"], { value: place.database, source: "flag --database" });
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), before);
});

Deno.test("--max-episodes and --policy-version choose what is trained on", async () => {
  using place = new Workplace();
  await place.fill(60);
  const few = onlyObject(await place.run(["train", "--dry-run", "--json", "--max-episodes", "20"]));
  assert.equal((few.data as { available: number }).available, 20);
  const none = await place.run(["train", "--policy-version", "v7.0.0"]);
  assert.equal(none.code, 3);
  assert.match(none.stderr, /No traces with feedback found: .* on traces that v7\.0\.0 routed/);
});

Deno.test("train without data exits with 3 and makes neither database nor checkpoints", async () => {
  using place = new Workplace();
  const missing = await place.run(["train"]);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /^error: No traces with feedback found: .*no such file yet.*\nhint: /);
  assert.deepEqual([...Deno.readDirSync(place.path)].map(({ name }) => name), ["small.yaml"]);

  await place.fill(7);
  const few = await place.run(["train"]);
  assert.equal(few.code, 3);
  assert.match(few.stderr, /^error: Insufficient feedback: 7 of 10 usable/);
  const { sessions, checkpoints } = onlyObject(await place.run(["stats", "--json"]));
  assert.deepEqual([sessions, checkpoints], [[], []]);
});

Deno.test("embeddings of another length are counted, and the hint names the setting", async () => {
  using place = new Workplace();
  await place.fill(20);
  Deno.writeTextFileSync(place.config, "gating_policy: {input_dim: 9}\ncompute: {backend: cpu}\n");
  const { code, stderr } = await place.run(["train"]);
  assert.equal(code, 3);
  assert.match(stderr, /left out: 20 wrong_dimension\nhint: Set gating_policy\.input_dim/);
});

Deno.test("a second trainer exits with 5 and names the host, the process and since when", async () => {
  using place = new Workplace();
  await place.fill(20);
  await using store = await createPersistence(place.database);
  await using lease = await store.acquireLease("gating");
  const { code, stderr } = await place.run(["train"]);
  assert.equal(code, 5);
  const { host, processId, acquiredAt } = lease.holder;
  assert.ok(stderr.includes(`process ${processId} on host ${host} has been training it since ${acquiredAt}`), stderr);
});

Deno.test({
  name: "a backend that is not there exits with 7 and says which are",
  // DENO_WEBGPU_BACKEND=metal finds no adapter on any machine but Apple's.
  ignore: Deno.build.os === "darwin",
  fn: async () => {
    using place = new Workplace();
    await place.fill(20);
    const { code, stderr } = await place.run(["train", "--backend", "webgpu"], {
      env: { DENO_WEBGPU_BACKEND: "metal" },
    });
    assert.equal(code, 7);
    assert.match(stderr, /cannot use backend "webgpu".*available here: .*cpu/);
  },
});

Deno.test("a checkpoint directory that is a file exits with 6 and trains nothing", async () => {
  using place = new Workplace();
  await place.fill(20);
  place.write("policies", "not a directory");
  const { code, stderr } = await place.run(["train"]);
  assert.equal(code, 6);
  assert.match(stderr, /cannot list checkpoint directory .*\nhint: .*choose another checkpoint directory/);
  assert.deepEqual(onlyObject(await place.run(["stats", "--json"])).sessions, []);
});

Deno.test("interrupted by SIGINT and SIGTERM, train exits with 130; --resume ends bit for bit as if it had run on", async () => {
  using whole = new Workplace();
  using pieces = new Workplace();
  for (const place of [whole, pieces]) {
    place.configure("  epochs: 150", "  save_frequency: 1000000\n  activate: always");
  }
  await whole.fill(120);
  await Deno.copyFile(join(whole.path, "log.db"), join(pieces.path, "log.db"));
  assert.equal((await whole.run(["train"])).code, 0);

  const first = await interrupted(["train", "--json", ...pieces.here], "SIGINT");
  assert.equal(first.code, 130);
  const { status, error } = onlyObject(first) as unknown as { status: string; error: { code: string; hint: string } };
  assert.deepEqual([status, error.code], ["interrupted", "interrupted"]);
  assert.match(error.hint, /--resume/);
  const other = await pieces.run(["train", "--resume", "--epochs", "3"]);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /training\.epochs is 3, but the run has 150/);
  assert.equal((await interrupted(["train", "--resume", ...pieces.here], "SIGTERM")).code, 130);
  assert.equal((await pieces.run(["train", "--resume"])).code, 0);

  for (const name of ["policy.safetensors", "trainer.safetensors"]) {
    const [a, b] = [whole, pieces].map(({ policies }) => Deno.readFileSync(join(policies, "gating-v1.0.0", name)));
    assert.deepEqual(a, b, name);
  }
});

/** Sends a signal as soon as training has begun. */
async function interrupted(args: readonly string[], signal: Deno.Signal): Promise<{ code: number; stdout: string }> {
  const child = start(args);
  const stdout = new Response(child.stdout).text();
  let told = "";
  let sent = false;
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    told += chunk;
    if (sent || !told.includes("episodes to train on")) continue;
    child.kill(signal);
    sent = true;
  }
  assert.ok(sent, told);
  return { code: (await child.status).code, stdout: await stdout };
}
