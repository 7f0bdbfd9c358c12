/**
 * What a newcomer stumbled over: dates outside the window, two counts of the same thing, warnings told twice, a second
 * demonstration on the first one's data.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { onlyObject, recordOf, rlcf, Workplace } from "./support.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** A record that may be changed. */
interface Spoilt {
  trace: { actions: { log_prob: number; parameters: Record<string, unknown>; metadata: Record<string, unknown> }[] };
  feedback: { overall_rating: number; timestamp?: string };
  user_authority: number;
}

/** Lines whose records were changed one by one; `at` moves the feedback so many days into the past. */
function changed(records: number, change: (record: Spoilt, i: number) => void, at = 1): string {
  return Array.from({ length: records }, (_, i) => {
    const record = recordOf(i) as unknown as Spoilt;
    record.feedback.timestamp = new Date(Date.now() - at * DAY_MS).toISOString();
    change(record, i);
    return `${JSON.stringify(record)}\n`;
  }).join("");
}

Deno.test("train and stats say how much feedback lies outside the window, from when, and what would reach it", async () => {
  using place = new Workplace();
  const old = place.write("old.jsonl", changed(12, () => {}, 400.5));
  assert.equal((await place.run(["ingest", old])).code, 0);
  const oldest = new Date(Date.now() - 400.5 * DAY_MS).toISOString().slice(0, 10);
  const none = await place.run(["train"]);
  assert.equal(none.code, 3);
  assert.match(none.stderr, /No traces with feedback found: .* holds no feedback of the last 30 days/);
  assert.ok(
    none.stderr.includes(`hint: 12 more lie before that, the oldest of ${oldest}: --lookback-days 401 reaches`),
  );
  const recent = place.write("new.jsonl", changed(10, (record, i) => record.trace.actions[0]!.parameters.n = i, 1));
  assert.equal((await place.run(["ingest", recent])).code, 0);
  const words = `outside the window 12 older ones back to ${oldest} (--lookback-days 401 reaches them)`;
  for (const args of [["train", "--dry-run"], ["train"], ["stats"]]) {
    const { code, stderr } = await place.run(args);
    assert.equal(code, 0, stderr);
    assert.ok(stderr.replaceAll(/\s+/g, " ").includes(words), `${args.join(" ")}:\n${stderr}`);
  }
  const outside = { older: 12, days_to_reach: 401, newer: 0 };
  const { training } = onlyObject(await place.run(["stats", "--json"])) as { training: { outside_window: object } };
  const report = onlyObject(await place.run(["train", "--json"])) as { episodes: { outside_window: object } };
  for (const { outside_window } of [training, report.episodes]) {
    const { oldest: date, ...rest } = outside_window as { oldest: string };
    assert.deepEqual([date.slice(0, 10), rest], [oldest, outside]);
  }
  // The number of days that was named does reach them.
  const all = onlyObject(await place.run(["train", "--json", "--lookback-days", "401"])) as {
    episodes: { available: number; outside_window: { older: number } };
  };
  assert.deepEqual([all.episodes.available, all.episodes.outside_window.older], [22, 0]);
});

Deno.test("stats counts usable rows by the rules of train: the same number for the same window", async () => {
  using place = new Workplace();
  const lines = changed(60, (record, i) => {
    const [action] = record.trace.actions;
    switch (i % 10) {
      case 1:
        record.user_authority = 0;
        break;
      case 2:
        action!.log_prob = -104;
        break;
      case 3:
        record.trace.actions = [action!, action!].map((one) => ({
          ...one,
          parameters: { ...one.parameters, weight: 0 },
        }));
        break;
      case 4:
        action!.parameters.expert_type = "oracle";
        break;
      case 5:
        action!.metadata.query_embedding = [1, 2, 3];
        break;
      case 6:
        delete action!.metadata.query_embedding;
        break;
      case 7:
        action!.metadata.source = "hand";
        break;
      case 8:
        // Soft, with an expert that the policy does not know.
        record.trace.actions = [action!, { ...action!, parameters: { expert_type: "oracle", weight: 0.5 } }];
    }
  });
  assert.equal((await place.run(["ingest", place.write("log.jsonl", lines)])).code, 0);
  type Counts = { available: number; usable: number; skipped: Record<string, number> };
  for (const flags of [[], ["--max-episodes", "25"], ["--lookback-days", "1"]]) {
    const { data } = onlyObject(await place.run(["train", "--dry-run", "--json", ...flags])) as { data: Counts };
    const { training } = onlyObject(await place.run(["stats", "--json", ...flags])) as { training: Counts };
    const { available, usable, skipped } = training;
    assert.deepEqual([available, usable, skipped], [data.available, data.usable, data.skipped]);
  }
  const { logs, training } = onlyObject(await place.run(["stats", "--json"])) as {
    logs: { skipped: Record<string, number>; usable_share: number }[];
    training: Counts;
  };
  // Of the traces the same, but for the authority of who judged them.
  const { zero_authority, ...ofTraces } = training.skipped;
  assert.deepEqual([zero_authority, Object.keys(training.skipped).length], [6, 7]);
  assert.deepEqual(sorted(logs[0]!.skipped), sorted(ofTraces));
  assert.equal(Math.round(60 * logs[0]!.usable_share), training.usable + 6);
});

Deno.test("a warning of a session is told once", async () => {
  using place = new Workplace();
  place.configure("  epochs: 200\n  entropy_coef: 0");
  // One expert is right for everything: the routing ends up all but certain.
  const log = changed(200, (record) => {
    record.feedback.overall_rating = record.trace.actions[0]!.parameters.expert_type === "literal" ? 1 : 0;
  });
  assert.equal((await place.run(["ingest", place.write("log.jsonl", log)])).code, 0);
  const { code, stderr } = await place.run(["train"]);
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/single_expert_routing/g)?.length, 1, stderr);
});

Deno.test("a version is tagged, listed with its tag, kept by later sessions, and set free again", async () => {
  using place = new Workplace();
  place.configure("  epochs: 2", "  activate: never\n  keep_last_n: 1\n  save_frequency: 10");
  await place.fill(60);
  await place.run(["train"]);
  const periodic = async (): Promise<string[]> => {
    const { checkpoints } = onlyObject(await place.run(["policy", "list", "--json"])) as {
      checkpoints: { version: string; tag: string | null }[];
    };
    return checkpoints.filter(({ version }) => version.includes("-ep.")).map(({ version, tag }) => `${version} ${tag}`);
  };
  const [first] = await periodic();
  const version = first!.split(" ")[0]!;
  const tagged = await place.run(["policy", "tag", version, "before summer"]);
  assert.deepEqual([tagged.code, tagged.stderr], [0, `gating: ${version} is tagged before summer and will be kept\n`]);
  assert.match((await place.run(["policy", "list"])).stderr, new RegExp(`${version} .*before summer`));
  await place.run(["train"]);
  assert.ok((await periodic()).includes(`${version} before summer`));
  const removed = onlyObject(await place.run(["policy", "tag", version, "--remove", "--json"]));
  assert.deepEqual(removed, { policy_type: "gating", version, tag: null });
  await place.run(["train"]);
  assert.ok(!(await periodic()).some((name) => name.startsWith(version)));
  assert.equal((await place.run(["policy", "tag", version])).code, 6);
  const both = await place.run(["policy", "tag", "v1.0.0", "name", "--remove"]);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /found a tag and --remove, wanted one of them/);
  assert.equal((await place.run(["policy", "tag", "v1.0.0", "x".repeat(256)])).code, 2);
  assert.equal((await place.run(["policy", "tag", "v1.0.0", ""])).code, 2);
});

Deno.test("demo --keep refuses a directory that holds an earlier demonstration, and changes nothing in it", async () => {
  using place = new Workplace();
  const args = ["demo", "--keep", "kept", "--episodes", "80", "--epochs", "1", "--config", place.config];
  assert.equal((await rlcf(args, { cwd: place.path })).code, 0);
  const bytes = Deno.readFileSync(join(place.path, "kept/demo.db"));
  const { code, stderr } = await rlcf(args, { cwd: place.path });
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^error: cannot keep the demonstration in kept: an earlier one lies there, wanted a directory of/,
  );
  assert.match(stderr, /hint: Name a new directory; rlcf stats --database sqlite:\/\/\/.*\/kept\/demo\.db shows/);
  assert.deepEqual(Deno.readFileSync(join(place.path, "kept/demo.db")), bytes);
});

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).toSorted(([a], [b]) => a < b ? -1 : 1);
}
