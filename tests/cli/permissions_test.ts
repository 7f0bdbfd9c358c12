/**
 * The published tasks under exactly the permissions written in deno.json: all of the loop works with them, and what is
 * not in them is out of reach.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { programCommand } from "../../scripts/program_task.ts";
import { postgresForTests } from "../support/postgres.ts";
import { commandOf, embeddingOf, type Finished, logOf, rlcf, Workplace } from "./support.ts";

const TASKS = ["rlcf", "train", "stats", "bench", "demo", "serve"] as const;

/** What Deno says where it refuses. */
const REFUSED = /NotCapable|[Rr]equires \w+ (?:access|permission)|--allow-|permission denied/;

/** A process whose code asks for what the program has no need of; prints what it was given, as JSON. */
const CANARY = `
const tried = {};
const attempt = async (name, work) => {
  try { tried[name] = String(await work()); } catch (thrown) { tried[name] = thrown.name; }
};
await attempt("secret", () => Deno.env.get("AWS_SECRET_ACCESS_KEY"));
await attempt("home", () => Deno.env.get("HOME"));
await attempt("every variable", () => Object.keys(Deno.env.toObject()).filter((name) => !name.startsWith("RLCF_")));
await attempt("process.env", async () => (await import("node:process")).default.env.AWS_SECRET_ACCESS_KEY);
await attempt("subprocess", () => new Deno.Command("id").outputSync().code);
await attempt("child_process", async () => (await import("node:child_process")).execFileSync("id"));
await attempt("ffi", () => Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }));
await attempt("remote code", () => import(["https://esm.sh", "canary"].join("/")));
await attempt("user", () => Deno.uid());
await attempt("network interfaces", () => Deno.networkInterfaces().length);
await attempt("connect", async () => { (await Deno.connect({ hostname: "127.0.0.1", port: PORT })).close(); return "reached"; });
await attempt("worker", async () => {
  const code = "try { new Deno.Command('id').outputSync(); postMessage('ran') } catch (e) { postMessage(e.name) }";
  const worker = new Worker(URL.createObjectURL(new Blob([code])), { type: "module" });
  const answer = await new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
  worker.terminate();
  return answer;
});
console.log(JSON.stringify(tried));
`;

/** Runs code under a task's flags, given on stdin and importing nothing. */
async function canary(task: typeof TASKS[number], port: number): Promise<Record<string, string>> {
  const [program, ...words] = commandOf(task);
  const flags = words.slice(0, words.findIndex((word) => word.endsWith("main.ts")));
  const child = new Deno.Command(program!, {
    args: [...flags, "--ext=js", "-"],
    env: { AWS_SECRET_ACCESS_KEY: "canary", RLCF_LOG_LEVEL: "info" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(CANARY.replace("PORT", String(port))));
  await writer.close();
  const { stdout, stderr } = await child.output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("under the tasks' flags no secret, subprocess, library, remote code or other host fact can be reached", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const connection of listener) connection.close();
  })();
  for (const task of TASKS) {
    const tried = await canary(task, listener.addr.port);
    assert.deepEqual(tried, {
      "secret": "undefined",
      "home": "undefined",
      "every variable": tried["every variable"]!,
      "process.env": "undefined",
      "subprocess": "NotCapable",
      "child_process": "Error",
      "ffi": "NotCapable",
      "remote code": "TypeError",
      "user": "NotCapable",
      "network interfaces": "NotCapable",
      // PostgreSQL may be anywhere; the demonstration is not.
      "connect": task === "demo" ? "NotCapable" : "reached",
      "worker": "NotCapable",
    }, `task ${task}`);
    assert.ok(!/HOME|AWS|PATH/.test(tried["every variable"]!), tried["every variable"]);
  }
  listener.close();
  await accepting;
});

Deno.test("no task's flags are wider than what the README says", () => {
  for (const task of TASKS) {
    const { environment, flags: [v8, ...flags] } = programCommand(task);
    assert.deepEqual([environment, v8], [
      { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1" },
      "--v8-flags=--max-semi-space-size=1",
    ]);
    assert.deepEqual(flags, [
      "--no-prompt",
      "--no-remote",
      "--ignore-env",
      "--allow-env=RLCF_*,XDG_RUNTIME_DIR,DENO_WEBGPU_BACKEND",
      "--allow-read",
      "--allow-write",
      "--allow-sys=hostname",
      ...task === "demo" ? [] : ["--allow-net"],
    ]);
  }
});

/** A command, and the task that runs it where it is not `rlcf`. */
type Step = readonly [args: readonly string[], task?: typeof TASKS[number]];

/** Runs the whole loop, each step with a runner that adds where the data are; asserts that nothing was refused. */
async function runLoop(
  place: Workplace,
  run: (args: readonly string[], task?: typeof TASKS[number]) => Promise<Finished>,
  how: { readonly bench: boolean } = { bench: true },
): Promise<void> {
  const queries = place.write(
    "queries.jsonl",
    `${JSON.stringify({ query_id: "q", query_embedding: embeddingOf(1) })}\n`,
  );
  const steps: readonly Step[] = [
    [["ingest", place.write("log.jsonl", logOf(40)), "--rejects", join(place.path, "rejects.jsonl")]],
    [["--dry-run"], "train"],
    [[], "train"],
    [[], "stats"],
    ...how.bench ? [[["--quick", "--backend", "cpu"], "bench"]] as const : [],
    [["policy", "list"]],
    [["policy", "verify"]],
    [["policy", "tag", "v1.0.0"]],
    [["evaluate"]],
    [["report", "--output", join(place.path, "report.html")]],
    [["route", queries]],
    [[], "train"],
    [["policy", "rollback"]],
  ];
  for (const [args, task] of steps) {
    const { code, stdout, stderr } = await run(args, task);
    assert.equal(code, 0, `${task ?? "rlcf"} ${args.join(" ")}: ${stderr}`);
    assert.doesNotMatch(stdout + stderr, REFUSED);
  }
}

Deno.test("the whole loop runs under the tasks' flags on SQLite", async () => {
  using place = new Workplace();
  await runLoop(place, (args, task) => place.run(args, { task: task ?? "rlcf" }));
  const demo = await rlcf(["--episodes", "60", "--epochs", "1", "--config", place.config], {
    task: "demo",
    cwd: place.path,
    env: { TMPDIR: place.path },
  });
  assert.equal(demo.code, 0, demo.stderr);
  assert.doesNotMatch(demo.stderr, REFUSED);
});

Deno.test("on SQLite a service needs no network, and writes nowhere but to its own directory", async () => {
  using place = new Workplace();
  const narrowed = (word: string): string[] =>
    word === "--allow-net" ? [] : [word === "--allow-write" ? `--allow-write=${place.path}` : word];
  await runLoop(place, (args, task) => runWith(place, narrowed, task ?? "rlcf", [...args, ...place.here], {}), {
    bench: false,
  });
  const outside = join(dirname(place.path), `outside-${crypto.randomUUID()}.html`);
  const { code, stderr } = await runWith(place, narrowed, "rlcf", ["report", "--output", outside, ...place.here], {});
  assert.equal(code, 2);
  assert.match(stderr, /^error: cannot write the report to .*: Requires write access/m);
});

const postgres = await postgresForTests();

Deno.test({
  name: `on PostgreSQL the server's address is all the network that is needed${
    "reason" in postgres ? ` (${postgres.reason})` : ""
  }`,
  ignore: "reason" in postgres,
  fn: async () => {
    if ("reason" in postgres) return;
    await using database = await postgres.createDatabase();
    using place = new Workplace();
    const { host } = new URL(database.url);
    const narrowed = (word: string): string[] =>
      word === "--allow-net"
        ? [`--allow-net=${host}`]
        : [word === "--allow-write" ? `--allow-write=${place.path}` : word];
    const env = { RLCF_ASYNC_DATABASE_URL: database.url };
    await runLoop(
      place,
      (args, task) => runWith(place, narrowed, task ?? "rlcf", [...args, "--config", place.config], env),
      { bench: false },
    );
  },
});

Deno.test("a program that has opened SQLite has given the network away", async () => {
  using place = new Workplace();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const source = new URL("../../src/cli/context.ts", import.meta.url).href;
  const script = place.write(
    "canary.ts",
    `import { configured, openStore } from "${source}";
     await using _store = await openStore(await configured({ database: "sqlite://" }));
     const { state } = await Deno.permissions.query({ name: "net" });
     const name = await Deno.connect({ hostname: "127.0.0.1", port: ${listener.addr.port} }).catch((e) => e.name);
     console.log(state, name);`,
  );
  const child = await runWith(place, (word) => word.endsWith("main.ts") ? [script] : [word], "rlcf", [], {});
  assert.deepEqual([child.stdout, child.stderr], ["prompt NotCapable\n", ""]);
});

/** Runs a task's command with some of its words changed. */
async function runWith(
  place: Workplace,
  change: (word: string) => string[],
  task: typeof TASKS[number],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  const [program, ...words] = commandOf(task);
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args: [...words.flatMap(change), ...args],
    cwd: place.path,
    env: { NO_COLOR: "1", RLCF_ASYNC_DATABASE_URL: "", ...env },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
