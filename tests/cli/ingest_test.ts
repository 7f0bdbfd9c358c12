/**
 * `rlcf ingest` as a process: what it stores, what it refuses, and that it harms nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { logOf, onlyObject, recordOf, rlcf, Workplace } from "./support.ts";

Deno.test("storing the same lines twice adds nothing", async () => {
  using place = new Workplace();
  const file = place.write("log.jsonl", logOf(20));
  const first = onlyObject(await place.run(["ingest", file, "--json"]));
  assert.deepEqual(first, { traces: 20, feedback: 20, duplicates: 0, rejected: 0 });
  const again = onlyObject(await place.run(["ingest", "-", "--json"], { stdin: logOf(20) }));
  assert.deepEqual(again, { traces: 0, feedback: 0, duplicates: 40, rejected: 0 });
});

Deno.test("of 10,000 lines 50 bad ones are rejected with line and reason, all others stored", async () => {
  using place = new Workplace();
  const bad = [
    (record: Bad) => void (record.feedback.overall_rating = 1.2),
    (record: Bad) => void (record.trace.actions[0]!.log_prob = 0.1),
    (record: Bad) => void (record.trace.actions[0]!.metadata.query_embedding = "0.1 0.2"),
    (record: Bad) => void ((record.trace.actions[0]!.metadata.query_embedding as unknown[])[3] = "0.5"),
    (record: Bad) => void (record.trace.actions[0]!.metadata.query_embedding = []),
  ];
  const lines = Array.from({ length: 10_000 }, (_, i) => {
    const record = recordOf(i) as unknown as Bad;
    if (i % 200 === 100) bad[(i / 100 | 0) % bad.length]!(record);
    const text = JSON.stringify(record);
    return i === 300 ? text.replace(/"query_embedding":\[[^,]*/, '"query_embedding":[NaN') : text;
  });
  lines[700] = "{not json";
  const wrong = lines.map((_, i) => i).filter((i) => i % 200 === 100);
  const rejects = `${place.path}/rejects.jsonl`;
  const { code, stderr } = await place.run(
    ["ingest", place.write("log.jsonl", lines.join("\n")), "--rejects", rejects],
  );
  assert.equal(code, 0);
  assert.match(stderr, /:501: feedback\.overall_rating: found 1\.2, wanted a number from 0 to 1/);
  assert.match(stderr, /\.\.\. and \d+ more/);
  const told = Deno.readTextFileSync(rejects).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(told.map(({ line }) => line), wrong.map((i) => i + 1));
  for (const { reason, text, line } of told) {
    assert.ok(reason.length > 10);
    assert.equal(text, lines[line - 1]);
  }
  const { total_traces } = onlyObject(await place.run(["stats", "--json"]));
  assert.equal(total_traces, 10_000 - wrong.length);
});

Deno.test("a file that cannot be read is told before anything of the others is stored", async () => {
  using place = new Workplace();
  const file = place.write("log.jsonl", logOf(600));
  for (const other of ["none.jsonl", "."]) {
    const { code, stderr } = await place.run(["ingest", file, other]);
    assert.equal(code, 2);
    assert.match(stderr, /^error: cannot read .*: (there is no such file|found a directory)/);
  }
  assert.equal(onlyObject(await place.run(["stats", "--json"])).total_traces, 0);
});

Deno.test("rejects never replace the input or another file", async () => {
  using place = new Workplace();
  const text = logOf(5);
  const file = place.write("log.jsonl", text);
  const notes = place.write("notes.txt", "keep me");
  for (const target of [file, notes]) {
    const { code, stderr } = await place.run(["ingest", file, "--rejects", target]);
    assert.equal(code, 2);
    assert.match(stderr, /cannot write the rejected lines to/);
  }
  assert.equal(Deno.readTextFileSync(file), text);
  assert.equal(Deno.readTextFileSync(notes), "keep me");
  // A file of earlier rejects is what the option is for.
  place.write("bad.jsonl", "nonsense\n");
  for (let i = 0; i < 2; i++) {
    const again = await place.run(["ingest", "bad.jsonl", "--rejects", "rejects.jsonl"]);
    // Nothing of the file could be stored.
    assert.equal(again.code, 2);
    assert.match(again.stderr, /cannot store anything: all 1 lines were rejected/);
  }
});

Deno.test("an empty file, a binary file and a line of 40 MB harm nothing", async () => {
  using place = new Workplace();
  const empty = place.write("empty.jsonl", "\n\n");
  assert.deepEqual(
    onlyObject(await place.run(["ingest", empty, "--json"])),
    { traces: 0, feedback: 0, duplicates: 0, rejected: 0 },
  );
  Deno.writeFileSync(`${place.path}/binary`, Uint8Array.from({ length: 5000 }, (_, i) => (i * 97 + 128) % 256));
  const binary = onlyObject(await place.run(["ingest", "binary", "--json"]));
  assert.equal(binary.traces, 0);
  assert.ok(Number(binary.rejected) > 0);
  const long = place.write("long.jsonl", `"${"x".repeat(40_000_000)}"\n${logOf(1)}`);
  const { stdout, stderr } = await place.run(["ingest", long, "--json"]);
  assert.deepEqual(JSON.parse(stdout), { traces: 1, feedback: 1, duplicates: 0, rejected: 1 });
  assert.match(stderr, /long\.jsonl:1: the line is longer than/);
  assert.ok(stderr.length < 1000);
});

Deno.test("storing in memory warns that nothing is kept", async () => {
  using place = new Workplace();
  const { code, stderr } = await rlcf(["ingest", "-"], { stdin: logOf(1), cwd: place.path });
  assert.equal(code, 0);
  assert.match(stderr, /warning: nothing of this is kept/);
});

Deno.test({
  name: "a database that may only be read exits with 4",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    using place = new Workplace();
    await place.fill(5);
    Deno.chmodSync(`${place.path}/log.db`, 0o444);
    // The administrator may write everywhere, unless told to do without.
    const wrapper = Deno.uid() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
    const { code, stderr } = await place.run(["ingest", "-"], { stdin: logOf(6), wrapper });
    assert.equal(code, 4);
    assert.match(stderr, /the file may only be read\nhint: Make the file and its directory writable/);
  },
});

/** A record as the tests spoil it. */
interface Bad {
  readonly trace: { readonly actions: { log_prob: number; metadata: { query_embedding: unknown } }[] };
  readonly feedback: { overall_rating: number };
}
