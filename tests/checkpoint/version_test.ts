import assert from "node:assert/strict";
import fc from "fast-check";
import {
  canonicalVersion,
  compareVersions,
  formatVersion,
  isPeriodic,
  nextPatch,
  parseVersion,
  periodicVersion,
} from "../../src/checkpoint/version.ts";
import { rlcfError } from "./support.ts";

Deno.test("versions are read with and without the leading v, with any tag", () => {
  assert.deepEqual(parseVersion("v1.20.3"), { major: 1, minor: 20, patch: 3, prerelease: [] });
  assert.deepEqual(parseVersion("1.0.2"), { major: 1, minor: 0, patch: 2, prerelease: [] });
  assert.deepEqual(parseVersion("v2.0.0-rc1"), { major: 2, minor: 0, patch: 0, prerelease: ["rc1"] });
  assert.deepEqual(parseVersion("v1.0.2-ep.300")?.prerelease, ["ep", "300"]);
});

Deno.test("texts that are no versions are told apart without a crash", () => {
  const texts = [
    "",
    "v",
    "latest",
    "v1",
    "v1.0",
    "v1.0.0.0",
    "v01.0.0",
    "v1.0.0-",
    "v1.0.0-a..b",
    "v1.0.0-01",
    "V1.0.0",
  ];
  for (
    const text of [...texts, " v1.0.0", "v1.0.0\n", "v1.0.0+cu12", "v1.0.-1", `v1.0.0-${"a".repeat(60)}`, "v1.0.1e9"]
  ) {
    assert.equal(parseVersion(text), undefined, text);
    assert.throws(() => canonicalVersion(text), rlcfError("usage", /wanted one such as v1.0.2/));
    assert.equal(isPeriodic(text), false);
  }
});

Deno.test("the canonical form has the leading v", () => {
  assert.equal(canonicalVersion("1.0.2"), "v1.0.2");
  assert.equal(canonicalVersion("v2.0.0-rc1"), "v2.0.0-rc1");
});

Deno.test("order is the precedence of Semantic Versioning, and texts that are no versions come first", () => {
  // The prereleases of 1.0.0 are the example of semver.org, section 11.
  const ordered = [
    ..."latest,zzz,v0.9.10,v1.0.0-alpha,v1.0.0-alpha.1,v1.0.0-alpha.beta,v1.0.0-beta,v1.0.0-beta.2".split(","),
    ..."v1.0.0-beta.11,v1.0.0-rc.1,v1.0.0,v1.0.2-ep.90,v1.0.2-ep.300,v1.0.2,v1.0.10,v1.2.0,v2.0.0-rc1".split(","),
    ..."v2.0.0-x.12345678901234567890,v2.0.0-x.12345678901234567891,v2.0.0-x.a,v2.0.0".split(","),
  ];
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) {
      assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} and ${b}`);
    }
  }
  assert.equal(compareVersions("1.0.0", "v1.0.0"), 0);
});

Deno.test("formatting and reading are inverse", () => {
  const identifier = fc.oneof(fc.nat().map(String), fc.stringMatching(/^[a-z-][0-9a-z-]{0,5}$/));
  const versions = fc.record({
    major: fc.nat({ max: 999_999_999 }),
    minor: fc.nat({ max: 99 }),
    patch: fc.nat({ max: 99 }),
    prerelease: fc.array(identifier, { maxLength: 3 }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(versions, (version) => assert.deepEqual(parseVersion(formatVersion(version)), version)), {
    seed: 5,
  });
});

Deno.test("the next version is one patch above the highest of the parent's line", () => {
  assert.equal(nextPatch([], null), "v1.0.0");
  assert.equal(nextPatch(["latest"], null), "v1.0.0");
  assert.equal(nextPatch(["v1.0.0"], "v1.0.0"), "v1.0.1");
  assert.equal(nextPatch(["v1.0.0", "v1.0.9", "v1.0.10"], "v1.0.0"), "v1.0.11", "after a rollback");
  assert.equal(nextPatch(["v1.0.4", "v2.0.1"], "v1.0.4"), "v1.0.5", "another line does not matter");
  assert.equal(nextPatch(["v1.0.4", "v2.0.1"], null), "v2.0.2", "no parent: the highest line");
  assert.equal(nextPatch(["v1.0.1", "v1.0.2-ep.300"], "v1.0.1"), "v1.0.3", "a name that is in use is not given again");
  assert.equal(nextPatch([], "1.0.7"), "v1.0.8");
  assert.equal(nextPatch(["v2.0.0-rc1"], "v2.0.0-rc1"), "v2.0.1");
  assert.equal(nextPatch(["v1.0.3"], "latest"), "v1.0.4", "a parent that is no version is as good as none");
});

Deno.test("periodic versions are named after their release and recognised", () => {
  assert.equal(periodicVersion("v1.0.2", 300), "v1.0.2-ep.300");
  assert.ok(isPeriodic("v1.0.2-ep.300"));
  for (const other of ["v1.0.2", "v1.0.2-ep", "v1.0.2-ep.x", "v1.0.2-ep.3.4", "v1.0.2-rc.3"]) {
    assert.equal(isPeriodic(other), false, other);
  }
});
