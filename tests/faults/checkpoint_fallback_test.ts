import assert from "node:assert/strict";
import { join } from "node:path";
import { embeddingOf, type Finished, onlyObject, Workplace } from "../cli/support.ts";
import { DatabaseSync } from "node:sqlite";

/** A place with three versions, the last one active, each the child of the one before. */
async function withVersions(test: (place: Workplace) => Promise<void>): Promise<void> {
  using place = new Workplace();
  await place.fill(40);
  for (const version of ["v1.0.0", "v1.0.1", "v1.0.2"]) {
    const report = onlyObject(await place.run(["train", "--json"]));
    assert.deepEqual([report.version, report.activated], [version, true]);
  }
  await test(place);
}

function flipABit(place: Workplace, version: string): void {
  const file = join(place.policies, `gating-${version}`, "policy.safetensors");
  const bytes = Deno.readFileSync(file);
  Deno.writeFileSync(file, bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
}

function change(place: Workplace, sql: string, ...values: string[]): void {
  using database = new DatabaseSync(join(place.path, "log.db"));
  database.prepare(sql).run(...values);
}

/** A refusal with exit code 6 whose message matches, on stderr and as the one object on stdout. */
function assertRefused(run: Finished, pattern: RegExp): void {
  assert.equal(run.code, 6, run.stderr);
  assert.match(run.stderr, /^error: /m);
  assert.match(run.stderr, pattern);
  assert.doesNotMatch(run.stderr + run.stdout, /root:|unexpected/);
}

interface Trained {
  readonly version: string;
  readonly parent_version: string;
  readonly evaluation: { readonly active_version: string };
  readonly metrics: { readonly warnings: readonly { readonly name: string; readonly message: string }[] };
}

Deno.test("a broken active version: training starts from its newest intact ancestor and says so loudly", () =>
  withVersions(async (place) => {
    flipABit(place, "v1.0.2");
    const first = await place.run(["train", "--json"]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(
      first.stderr,
      /warn.*checkpoint_fallback: the active v1\.0\.2 cannot be used.*ancestor v1\.0\.1.*SHA-256/i,
    );
    const report = onlyObject(first) as unknown as Trained;
    assert.deepEqual([report.version, report.parent_version], ["v1.0.3", "v1.0.1"]);
    assert.equal(report.evaluation.active_version, "v1.0.1");
    const [warning] = report.metrics.warnings;
    assert.equal(warning!.name, "checkpoint_fallback");
    assert.match(warning!.message, /policy\.safetensors has SHA-256/);
    // The new version is active now, and nothing is left to warn of.
    const next = onlyObject(await place.run(["train", "--json"])) as unknown as Trained;
    assert.equal(next.parent_version, "v1.0.3");
    assert.ok(!next.metrics.warnings.some(({ name }) => name === "checkpoint_fallback"));
  }));

Deno.test("the fall-back passes over every broken ancestor, and ends where none is intact", () =>
  withVersions(async (place) => {
    flipABit(place, "v1.0.2");
    await Deno.remove(join(place.policies, "gating-v1.0.1"), { recursive: true });
    const shown = await place.run(["train"]);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stderr, /warning checkpoint_fallback: .*ancestor v1\.0\.0/);
    change(place, "update policy_checkpoints set is_active = 0");
    change(place, "update policy_checkpoints set is_active = 1 where version = 'v1.0.1'");
    flipABit(place, "v1.0.0");
    assertRefused(await place.run(["train", "--json"]), /Policy checkpoint not found: gating-v1\.0\.1/);
  }));

Deno.test("a version that is named is never replaced by another: route, evaluate, activate and verify exit with 6", () =>
  withVersions(async (place) => {
    flipABit(place, "v1.0.2");
    const queries = place.write(
      "queries.jsonl",
      `${JSON.stringify({ query_id: "q", query_embedding: embeddingOf(1) })}\n`,
    );
    const broken = /policy\.safetensors has SHA-256/;
    assertRefused(await place.run(["route", queries, "--policy-version", "v1.0.2"]), broken);
    assertRefused(await place.run(["route", queries]), broken);
    assertRefused(await place.run(["evaluate", "v1.0.2"]), broken);
    assertRefused(await place.run(["policy", "verify", "v1.0.2"]), broken);
    assert.equal((await place.run(["policy", "activate", "v1.0.1"])).code, 0);
    assertRefused(await place.run(["policy", "activate", "v1.0.2"]), broken);
    assertRefused(await place.run(["policy", "rollback"]), broken);
    const routed = await place.run(["route", queries]);
    assert.equal(JSON.parse(routed.stdout).policy_version, "v1.0.1");
  }));

const OUTSIDE = "wanted the name of a directory inside";
const HOSTILE_PATHS: readonly (readonly [path: string, reason: RegExp])[] = [
  ["../../etc/passwd", new RegExp(OUTSIDE)],
  ["gating-v1.0.0/../../../etc/passwd", new RegExp(OUTSIDE)],
  ["/etc/passwd", new RegExp(OUTSIDE)],
  ["C:\\Windows\\win.ini", new RegExp(OUTSIDE)],
  ["file:///etc/passwd", new RegExp(OUTSIDE)],
  ["gating-link", /it is a link that leaves/],
  ["gating-v1.0.1", /manifest\.json has SHA-256/],
];

Deno.test("a state_dict_path that leads elsewhere is refused by every command, and nothing there is read or removed", async () => {
  using place = new Workplace();
  place.configure("  epochs: 2", "  activate: always\n  save_frequency: 10\n  keep_last_n: 1");
  await place.fill(40);
  for (let i = 0; i < 2; i++) assert.equal((await place.run(["train"])).code, 0);
  await Deno.mkdir(join(place.path, "elsewhere"));
  await Deno.symlink(join(place.path, "elsewhere"), join(place.policies, "gating-link"));
  place.write("elsewhere/policy.safetensors", "root:x:0:0");
  const queries = place.write("queries.jsonl", "");
  for (const [path, reason] of HOSTILE_PATHS) {
    change(place, "update policy_checkpoints set state_dict_path = ? where version = 'v1.0.0'", path);
    assertRefused(await place.run(["route", "--policy-version", "v1.0.0", queries]), reason);
    assertRefused(await place.run(["policy", "activate", "v1.0.0"]), reason);
  }
  const [[path, reason]] = HOSTILE_PATHS as [(typeof HOSTILE_PATHS)[0]];
  change(place, "update policy_checkpoints set state_dict_path = ? where version = 'v1.0.0'", path);
  assertRefused(await place.run(["policy", "verify", "v1.0.0"]), reason);
  assertRefused(await place.run(["evaluate", "v1.0.0"]), reason);
  // The removal of expired versions meets such a path too: it says so, and the session goes on.
  change(place, "update policy_checkpoints set state_dict_path = ? where version like 'v1.0.1-ep.%'", "../elsewhere");
  const trained = await place.run(["train"]);
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /could not remove the files of v1\.0\.1-ep\.\d+, which has expired: cannot use/);
  assert.equal(Deno.readTextFileSync(join(place.path, "elsewhere/policy.safetensors")), "root:x:0:0");
});
