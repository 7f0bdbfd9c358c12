import assert from "node:assert/strict";
import fc from "fast-check";
import { RlcfError } from "../../src/base/errors.ts";
import { jobFromJson, jobSetting, jobToJson } from "../../src/queue/job.ts";
import { jobsOf, MOST_JOBS, type SweepRequest } from "../../src/queue/sweep.ts";

function request(change: Partial<SweepRequest> = {}): SweepRequest {
  return { policyType: "gating", policyVersion: null, set: [], sweep: [], ...change };
}

function refused(message: RegExp): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof RlcfError && thrown.code === "usage" && message.test(thrown.message);
}

Deno.test("a request without settings is one job that trains as the host does", () => {
  assert.deepEqual(jobsOf(request()), [{ policyType: "gating", overrides: {}, policyVersion: null }]);
});

Deno.test("a sweep is the cartesian product, the last setting changing fastest, over what is set for all", () => {
  const jobs = jobsOf(request({
    set: ["training.epochs=2"],
    sweep: ["training.seed=1,2,3", "training.learning_rate=1e-4,3e-4"],
  }));
  assert.deepEqual(
    jobs.map(({ overrides }) => [overrides["training.seed"], overrides["training.learning_rate"]]),
    [[1, 1e-4], [1, 3e-4], [2, 1e-4], [2, 3e-4], [3, 1e-4], [3, 3e-4]],
  );
  assert.ok(jobs.every(({ overrides }) => overrides["training.epochs"] === 2));
});

Deno.test("a sweep has as many different jobs as the product of its values", () => {
  const axis = fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(axis, axis, (seeds, days) => {
      const sweep = [`training.seed=${seeds}`, `database.lookback_days=${days.map((day) => day + 1)}`];
      const jobs = jobsOf(request({ sweep }));
      assert.equal(jobs.length, seeds.length * days.length);
      assert.equal(new Set(jobs.map((job) => JSON.stringify(job))).size, jobs.length);
    }),
    { seed: 1, numRuns: 50 },
  );
});

Deno.test("a sweep of more jobs than anybody means is refused before they are made", () => {
  const values = Array.from({ length: 1001 }, (_, i) => i + 1).join(",");
  const sweep = [`training.seed=${values}`, `training.epochs=${values}`, `training.min_feedback=${values}`];
  assert.throws(() => jobsOf(request({ sweep })), refused(new RegExp(`wanted at most ${MOST_JOBS}`)));
});

for (
  const [name, change, message] of [
    ["an unknown setting", { set: ["training.sed=3"] }, /unknown setting "training.sed"/],
    ["a value that the setting does not take", { set: ["training.seed=-1"] }, /found -1, wanted an integer from 0/],
    ["no value", { set: ["training.seed"] }, /wanted NAME=VALUE/],
    ["an empty value in a sweep", { sweep: ["training.seed=1,"] }, /training\.seed: found/],
    ["the same value twice", { sweep: ["training.learning_rate=1e-4,0.0001"] }, /has a value twice/],
    ["a setting that is set and swept", { set: ["training.seed=1"], sweep: ["training.seed=2"] }, /given twice/],
    ["a sweep of lists", { sweep: ["gating_policy.experts=a,b"] }, /are lists/],
    ["settings that contradict each other", { set: ["gating_policy.num_experts=3"] }, /found 3, wanted 4/],
    ["an unknown type of policy", { policyType: "routing" }, /wanted one of gating/],
  ] as const
) {
  Deno.test(`${name} is refused`, () => {
    assert.throws(() => jobsOf(request(change)), refused(message));
  });
}

for (const key of ["database.url", "database.pool_size", "checkpoint.directory", "logging.level"]) {
  Deno.test(`a job cannot set ${key}, by option or by row, and its value is not repeated`, () => {
    const secret = "postgresql://u:s3cret@host/db";
    for (
      const attempt of [
        () => jobsOf(request({ set: [`${key}=${secret}`] })),
        () => jobsOf(request({ sweep: [`${key}=${secret}`] })),
        () => jobFromJson({ policy_type: "gating", set: { [key]: secret } }),
      ]
    ) {
      assert.throws(attempt, (thrown) => refused(/a job cannot set/)(thrown) && !String(thrown).includes("s3cret"));
    }
  });
}

Deno.test("a job is the same after the queue has kept it", () => {
  const [job] = jobsOf(request({
    set: ["gating_policy.experts=a, b", "gating_policy.num_experts=2", "training.normalize_advantage=false"],
    policyVersion: "v1.0.0",
  }));
  assert.deepEqual(jobFromJson(JSON.parse(JSON.stringify(jobToJson(job!)))), job);
});

Deno.test("a row that no enqueue wrote is refused, whatever it holds", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const row of [value, { policy_type: value }, { policy_type: "gating", set: { "training.seed": value } }]) {
        try {
          jobFromJson(row);
        } catch (thrown) {
          assert.ok(thrown instanceof RlcfError, String(thrown));
        }
      }
    }),
    { seed: 2, numRuns: 300 },
  );
});

Deno.test("a mistyped setting is met with the nearest one", () => {
  assert.throws(
    () => jobSetting("training.lerning_rate", "--set"),
    (thrown) => thrown instanceof RlcfError && thrown.hint === "Did you mean training.learning_rate?",
  );
});
