/**
 * `train --metrics-file`: what node_exporter's textfile collector would read, whatever became of the run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { onlyObject, rlcf, Workplace } from "./support.ts";

/** Samples by name and labels; throws on anything that the collector would refuse. */
function samplesOf(text: string): Map<string, number> {
  assert.ok(text.endsWith("\n"));
  const samples = new Map<string, number>();
  const typed = new Set<string>();
  const helped = new Set<string>();
  for (const line of text.trimEnd().split("\n")) {
    const comment = /^# (HELP|TYPE) (rlcf_train_[a-z_]+) (.+)$/.exec(line);
    if (comment !== null) {
      const seen = comment[1] === "HELP" ? helped : typed;
      assert.ok(!seen.has(comment[2]!), `a second ${line}`);
      if (comment[1] === "TYPE") assert.equal(comment[3], "gauge");
      seen.add(comment[2]!);
      continue;
    }
    if (line === "# Written by rlcf train.") continue;
    // No third column: the collector refuses time stamps.
    const sample = /^(rlcf_train_[a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\}) (\S+)$/.exec(line);
    assert.ok(sample !== null, line);
    const [, name, labels, value] = sample;
    assert.ok(helped.has(name!) && typed.has(name!), `no HELP or TYPE before ${line}`);
    assert.ok(!samples.has(name! + labels!), `twice: ${line}`);
    assert.ok(Number.isFinite(Number(value)), line);
    samples.set(name! + labels!, Number(value));
  }
  return samples;
}

const OF = '{policy_type="gating"}';

Deno.test("a completed run leaves its counts, values and rates, readable by everyone, and nothing else", async () => {
  using place = new Workplace();
  await place.fill(40);
  const directory = join(place.path, "textfile");
  await Deno.mkdir(directory);
  const file = join(directory, "rlcf.prom");
  // As under systemd with UMask=0077.
  const run = await place.run(["train", "--json", "--metrics-file", file], {
    wrapper: ["sh", "-c", 'umask 077; exec "$0" "$@"'],
  });
  assert.equal(run.code, 0, run.stderr);
  const report = onlyObject(run) as Record<string, Record<string, number>>;
  const samples = samplesOf(await Deno.readTextFile(file));
  assert.equal(samples.get(`rlcf_train_last_run_success${OF}`), 1);
  assert.equal(samples.get(`rlcf_train_last_run_exit_code${OF}`), 0);
  assert.ok(Math.abs(samples.get(`rlcf_train_last_run_timestamp_seconds${OF}`)! - Date.now() / 1000) < 600);
  assert.equal(samples.get('rlcf_train_episodes{policy_type="gating",set="trained"}'), report["episodes"]!["trained"]);
  assert.equal(samples.get('rlcf_train_episodes{policy_type="gating",set="holdout"}'), report["episodes"]!["holdout"]);
  assert.equal(samples.get(`rlcf_train_updates${OF}`), report["updates"]);
  assert.equal(samples.get(`rlcf_train_activated${OF}`), 1);
  const [info] = [...samples.keys()].filter((name) => name.startsWith("rlcf_train_version_info"));
  assert.match(info!, /version="v1\.0\.0",parent_version="",backend="cpu"/);
  assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["rlcf.prom"]);
  if (Deno.build.os !== "windows") assert.equal((await Deno.stat(file)).mode! & 0o777, 0o644);
});

Deno.test("a run that fails says so with its exit code and keeps what the last completed one left", async () => {
  using place = new Workplace();
  const file = join(place.path, "rlcf.prom");
  const train = (...args: string[]): ReturnType<typeof rlcf> => place.run(["train", "--metrics-file", file, ...args]);
  assert.equal((await train()).code, 3);
  let samples = samplesOf(await Deno.readTextFile(file));
  assert.equal(samples.get(`rlcf_train_last_run_exit_code${OF}`), 3);
  assert.equal(samples.get(`rlcf_train_last_run_success${OF}`), 0);
  assert.equal(samples.get(`rlcf_train_last_success_timestamp_seconds${OF}`), undefined);
  await place.fill(40);
  assert.equal((await train()).code, 0);
  const success = samplesOf(await Deno.readTextFile(file)).get(`rlcf_train_last_success_timestamp_seconds${OF}`);
  // Twice, because the second failure reads what the first one wrote.
  for (const _ of [1, 2]) {
    const { code } = await rlcf([
      ...["train", "--metrics-file", file, "--config", place.config],
      ...["--database", "postgresql://nobody:secret-word@127.0.0.1:1/none"],
    ]);
    assert.equal(code, 4);
    const text = await Deno.readTextFile(file);
    assert.doesNotMatch(text, /secret-word/);
    samples = samplesOf(text);
    assert.equal(samples.get(`rlcf_train_last_run_exit_code${OF}`), 4);
    assert.equal(samples.get(`rlcf_train_last_success_timestamp_seconds${OF}`), success);
    assert.equal(samples.get(`rlcf_train_activated${OF}`), 1);
  }
});

Deno.test("a metrics file that cannot be written is refused before anything is trained", async () => {
  using place = new Workplace();
  await place.fill(40);
  const foreign = place.write("foreign.prom", "node_load1 0.5\n");
  const cases: readonly [string, RegExp][] = [
    [join(place.path, "rlcf.txt"), /wanted a name that ends in "\.prom"/],
    [join(place.path, "missing", "rlcf.prom"), /cannot write the metrics to .*: No such file or directory/],
    [foreign, /found a file that rlcf did not write/],
  ];
  for (const [file, message] of cases) {
    const { code, stdout, stderr } = await place.run(["train", "--metrics-file", file]);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, message);
    assert.match(stderr, /hint: --metrics-file names a file NAME\.prom/);
  }
  assert.equal(await Deno.readTextFile(foreign), "node_load1 0.5\n");
  assert.deepEqual(onlyObject(await place.run(["policy", "list", "--json"])), { checkpoints: [] });
});

Deno.test("--dry-run writes no metrics file", async () => {
  using place = new Workplace();
  await place.fill(40);
  const file = join(place.path, "rlcf.prom");
  assert.equal((await place.run(["train", "--dry-run", "--metrics-file", file])).code, 0);
  await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
});
