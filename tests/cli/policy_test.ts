/**
 * `rlcf policy` as a process: the registry, its history, and broken files.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Finished, onlyObject, Workplace } from "./support.ts";

/** A place with v1.0.0 and, active, v1.0.1. */
async function trainedTwice(): Promise<Workplace> {
  const place = new Workplace();
  await place.fill(20);
  await place.run(["train"]);
  await place.run(["train"]);
  return place;
}

async function activeVersion(place: Workplace): Promise<string> {
  const { active } = onlyObject(await place.run(["stats", "--json"])) as { active?: { version: string } };
  return active!.version;
}

function failure(finished: Finished): string {
  return (onlyObject(finished) as { error: { message: string } }).error.message;
}

Deno.test("list, show, rollback and activate agree on what is active, and the history tells why", async () => {
  using place = await trainedTwice();
  const { checkpoints } = onlyObject(await place.run(["policy", "list", "--json"])) as unknown as {
    checkpoints: { version: string; active: boolean; parent_version: string | null }[];
  };
  assert.deepEqual(
    checkpoints.filter(({ version }) => !version.includes("-")).map(({ version, active, parent_version }) => [
      version,
      active,
      parent_version,
    ]),
    [["v1.0.1", true, "v1.0.0"], ["v1.0.0", false, null]],
  );
  assert.equal((await place.run(["policy", "rollback"])).code, 0);
  assert.equal(await activeVersion(place), "v1.0.0");
  const switched = onlyObject(await place.run(["policy", "activate", "v1.0.1", "--reason", "on trial", "--json"]));
  assert.deepEqual(switched, { from_version: "v1.0.0", to_version: "v1.0.1", reason: "on trial" });
  const shown = onlyObject(await place.run(["policy", "show", "--json"])) as unknown as {
    version: string;
    config: { training: { epochs: number } };
    activations: { reason: string; from_version: string }[];
  };
  assert.deepEqual([shown.version, shown.config.training.epochs], ["v1.0.1", 2]);
  assert.deepEqual(
    shown.activations.map(({ reason, from_version }) => [from_version, reason])[0],
    ["v1.0.0", "on trial"],
  );
});

Deno.test("tables go to stderr and leave stdout empty", async () => {
  using place = await trainedTwice();
  for (const command of ["list", "show", "verify"]) {
    const { code, stdout, stderr } = await place.run(["policy", command]);
    assert.deepEqual([code, stdout], [0, ""]);
    assert.match(stderr, /v1\.0\.1/);
  }
});

Deno.test("a version that is not there exits with 6 and changes nothing", async () => {
  using place = await trainedTwice();
  const { code, stderr } = await place.run(["policy", "activate", "v9.0.0"]);
  assert.equal(code, 6);
  assert.match(stderr, /gating has no version v9\.0\.0.*\nhint: rlcf policy list/);
  assert.equal(await activeVersion(place), "v1.0.1");
});

Deno.test("a broken file is found by verify, refused by activate, and never routed by", async () => {
  using place = await trainedTwice();
  const file = join(place.policies, "gating-v1.0.0", "policy.safetensors");
  const bytes = Deno.readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  Deno.writeFileSync(file, bytes);

  const verified = await place.run(["policy", "verify", "--json"]);
  assert.equal(verified.code, 6);
  const { versions } = onlyObject(verified) as unknown as { versions: { version: string; problems: string[] }[] };
  assert.deepEqual(versions.filter(({ problems }) => problems.length > 0).map(({ version }) => version), ["v1.0.0"]);

  for (const args of [["policy", "activate", "v1.0.0"], ["policy", "rollback"]]) {
    const refused = await place.run([...args, "--json"]);
    assert.equal(refused.code, 6);
    assert.match(failure(refused), /cannot activate v1\.0\.0/);
  }
  const routed = await place.run(["route", "--policy-version", "v1.0.0"], { stdin: "" });
  assert.equal(routed.code, 6);
  assert.equal(await activeVersion(place), "v1.0.1");
});

Deno.test("an empty registry lists nothing, and has nothing to roll back to", async () => {
  using place = new Workplace();
  assert.deepEqual(onlyObject(await place.run(["policy", "list", "--json"])), { checkpoints: [] });
  const { code, stderr } = await place.run(["policy", "rollback"]);
  assert.equal(code, 6);
  assert.match(stderr, /cannot roll back: no gating version was active before/);
});
