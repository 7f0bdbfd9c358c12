/**
 * Files that are no files of lines, into `ingest` and `route`: each is refused in bounded time and memory, and what
 * stood in front of it is kept.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { logOf, onlyObject, recordOf, rlcf, start, Workplace } from "../cli/support.ts";

/** Kilobytes of memory that reading anything may take; the program itself takes some 150,000. */
const MEMORY_KB = 700_000;

const onLinux = Deno.build.os === "linux";

/** Writes a line of so many megabytes to a program's stdin without holding it, then the rest. */
async function writeLongLine(stdin: WritableStream<Uint8Array>, megabytes: number, rest: string): Promise<void> {
  const writer = stdin.getWriter();
  const chunk = new Uint8Array(1024 * 1024).fill("x".charCodeAt(0));
  chunk[0] = '"'.charCodeAt(0);
  for (let i = 0; i < megabytes; i++) await writer.write(chunk);
  await writer.write(new TextEncoder().encode(rest));
  await writer.close();
}

/** The most memory that a process had, asked again and again until it ends. */
async function peakMemoryKb(pid: number, ended: Promise<unknown>): Promise<number> {
  let [peak, alive] = [0, true];
  void ended.then(() => alive = false);
  while (alive) {
    const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
    peak = Math.max(peak, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return peak;
}

Deno.test("one bad line does not take the others of its transaction with it", async () => {
  using place = new Workplace();
  const bad = [
    (text: string) => text.replace('"q', '"\\ud800'),
    (text: string) => text.replace('"query_id"', '"metadata":{"a":1e400},"query_id"'),
    (text: string) => text.replace('"query_id"', '"metadata":{"\\u0000":1},"query_id"'),
    (text: string) => text.replace('"lawyer-', '"\\udfff-'),
    (text: string) => text.replace(/"created_at":"\d{4}/, '"created_at":"0000'),
    (text: string) => text.replace('"query_id"', `"other":${"[".repeat(20_000)}${"]".repeat(20_000)},"query_id"`),
    (text: string) => `\u001e${text}`,
    (text: string) => text.slice(0, -1),
  ];
  const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify(recordOf(i)));
  for (const [i, spoil] of bad.entries()) lines[i * 5] = spoil(lines[i * 5]!);
  // A byte order mark, as editors put it, and the ends of lines of Windows are no reason to refuse.
  const file = place.write("log.jsonl", `\ufeff${lines.join("\r\n")}`);
  const { code, stdout, stderr } = await place.run(["ingest", file, "--json"]);
  assert.deepEqual([code, JSON.parse(stdout)], [0, { traces: 32, feedback: 32, duplicates: 0, rejected: 8 }], stderr);
});

Deno.test({
  name: "a line of a gigabyte is refused in bounded memory, and the lines after it are stored",
  ignore: !onLinux,
  fn: async () => {
    using place = new Workplace();
    const child = start(["ingest", "-", "--json", ...place.here], { cwd: place.path, stdin: "" });
    const peak = peakMemoryKb(child.pid, child.status);
    const output = child.output();
    await writeLongLine(child.stdin, 1024, `"\n${logOf(3)}`);
    const { code, stdout, stderr } = await output;
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stderr));
    assert.deepEqual(JSON.parse(text.decode(stdout)), { traces: 3, feedback: 3, duplicates: 0, rejected: 1 });
    assert.match(text.decode(stderr), /^stdin:1: the line is longer than 33554432 bytes$/m);
    assert.ok(await peak < MEMORY_KB, `${await peak} kB`);
  },
});

Deno.test({
  name: "many lines of megabytes are stored a few at a time",
  ignore: !onLinux,
  fn: async () => {
    using place = new Workplace();
    const long = (i: number): string => {
      const record = recordOf(i) as { trace: Record<string, unknown> };
      record.trace.metadata = { text: "x".repeat(4_000_000) };
      return `${JSON.stringify(record)}\n`;
    };
    const child = start(["ingest", "-", "--json", ...place.here], { cwd: place.path, stdin: "" });
    const peak = peakMemoryKb(child.pid, child.status);
    const output = child.output();
    const writer = child.stdin.getWriter();
    for (let i = 0; i < 60; i++) await writer.write(new TextEncoder().encode(long(i)));
    await writer.close();
    const { stdout } = await output;
    assert.equal(JSON.parse(new TextDecoder().decode(stdout)).traces, 60);
    assert.ok(await peak < MEMORY_KB, `${await peak} kB`);
  },
});

Deno.test({
  name: "a device without an end is refused, by ingest and by route, in bounded memory",
  ignore: !onLinux,
  fn: async () => {
    using place = new Workplace();
    await place.fill(20);
    assert.equal((await place.run(["train"])).code, 0);
    for (const command of ["ingest", "route"]) {
      const child = start([command, "/dev/zero", "--json", ...place.here], { cwd: place.path });
      const peak = peakMemoryKb(child.pid, child.status);
      const { code, stdout } = await child.output();
      assert.equal(code, 2);
      const { error } = onlyObject({ stdout: new TextDecoder().decode(stdout) }) as { error: { message: string } };
      assert.match(error.message, /cannot read \/dev\/zero: found no end of line in 2 GiB, wanted JSON lines/);
      assert.ok(await peak < MEMORY_KB, `${command}: ${await peak} kB`);
    }
  },
});

Deno.test("a gzip file, a directory and a file without permission say what they are", async () => {
  using place = new Workplace();
  const zipped = new Blob([logOf(3)]).stream().pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(join(place.path, "log.jsonl.gz"), await new Response(zipped).bytes());
  const gzip = await place.run(["ingest", "log.jsonl.gz"]);
  assert.equal(gzip.code, 2);
  assert.match(gzip.stderr, /cannot read log\.jsonl\.gz: found a gzip file, wanted JSON lines\nhint: gunzip -c log/);
  const directory = await place.run(["ingest", "."]);
  assert.equal(directory.code, 2);
  assert.match(directory.stderr, /cannot read \.: found a directory, wanted a file of JSON lines/);
  // Read by the system, refused in the middle: the memory of the process at address 0.
  if (!onLinux) return;
  const unreadable = await place.run(["ingest", "/proc/self/mem"]);
  assert.equal(unreadable.code, 2, unreadable.stderr);
  assert.match(unreadable.stderr, /^error: cannot read \/proc\/self\/mem: /);
});

Deno.test({
  name: "a named pipe is opened once: its writer is not cut off, and its lines are stored",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    using place = new Workplace();
    const pipe = join(place.path, "pipe");
    assert.ok((await new Deno.Command("mkfifo", { args: [pipe] }).output()).success);
    const source = place.write("source.jsonl", logOf(30));
    const writer = new Deno.Command("sh", { args: ["-c", `cat '${source}' > '${pipe}'`] }).spawn();
    const { code, stdout } = await place.run(["ingest", pipe, "--json"]);
    assert.deepEqual([code, JSON.parse(stdout).traces, (await writer.status).code], [0, 30, 0]);
  },
});

Deno.test("a file that shrinks or goes away while it is read loses what is gone, and nothing else", async () => {
  using place = new Workplace();
  const path = place.write("log.jsonl", logOf(12_000));
  const child = start(["ingest", path, "--json", ...place.here], { cwd: place.path });
  const output = child.output();
  // Until the first transactions are in the write-ahead log.
  const written = join(place.path, "log.db-wal");
  while (await Deno.stat(written).then(({ size }) => size, () => 0) < 1_500_000) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Deno.truncate(path, 1000);
  await Deno.remove(path);
  const { code, stdout, stderr } = await output;
  // Where it was cut depends on the moment; every line before is stored, and at most the cut one is refused.
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const { traces, rejected } = JSON.parse(new TextDecoder().decode(stdout));
  assert.ok(traces >= 500 && traces < 12_000 && rejected <= 1, `${traces} stored, ${rejected} rejected`);
  assert.equal(onlyObject(await place.run(["stats", "--json"])).total_traces, traces);
});

Deno.test("queries to route are refused one by one, whatever stands in them", async () => {
  using place = new Workplace();
  await place.fill(20);
  assert.equal((await place.run(["train"])).code, 0);
  const good = JSON.stringify({ query_id: "ok\u001b[2J\u009b31m", query_embedding: [1, 0, 0, 0, 0, 0, 0, 0] });
  const bad = ["", "null", "[]", "{}", '"x"', "NaN", "{", '{"query_id":"q"}', '{"query_embedding":[1,0,0,0,0,0,0,0]}']
    .concat(["[1,0]", "[]", "[null]", '["a"]', "{}", '"x"', "[1e400,0,0,0,0,0,0,0]", "[1e39,0,0,0,0,0,0,0]", "-0"]
      .map((vector) => `{"query_id":"q","query_embedding":${vector}}`))
    .concat([
      '{"query_id":"","query_embedding":[1,0,0,0,0,0,0,0]}',
      `{"query_id":"q","query_embedding":${"[".repeat(1e5)}`,
    ]);
  const { code, stdout, stderr } = await rlcf(["route", ...place.here], {
    stdin: `${bad.join("\n")}\n${good}\n`,
    cwd: place.path,
  });
  assert.equal(code, 2, stderr);
  assert.match(stderr, new RegExp(`error: ${bad.length - 1} lines could not be routed; the others were`));
  const { query_id, weights } = JSON.parse(stdout);
  assert.equal(query_id, "ok\u001b[2J\u009b31m");
  assert.ok(Object.values(weights).every((weight) => Number.isFinite(weight)));
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(stdout + stderr));
});
