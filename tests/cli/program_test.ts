/**
 * Parsing, help, exit codes and streams, whatever the command.
 *
 * @module
 */
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { listBackends } from "../../src/engine/create.ts";
import { onlyObject, rlcf, start, Workplace } from "./support.ts";

const COMMANDS = [["train"], ["stats"], ["ingest"], ["route"], ["demo"]]
  .concat(["list", "show", "activate", "rollback", "tag", "verify"].map((name) => ["policy", name]));

Deno.test("--help of every command prints its options on stdout and exits with 0", async () => {
  for (const command of COMMANDS) {
    const { code, stdout, stderr } = await rlcf([...command, "--help"]);
    assert.deepEqual([command, code, stderr], [command, 0, ""]);
    assert.match(stdout, new RegExp(`^Usage: rlcf ${command.join(" ")}`));
    for (const option of ["--config", "--database", "--log-level", "--json", "--help"]) {
      assert.ok(stdout.includes(`${option} `) || stdout.includes(`${option}\n`), `${command.join(" ")} ${option}`);
    }
  }
});

Deno.test("the tasks train, stats and demo are the program with that command", async () => {
  for (const task of ["train", "stats", "demo"] as const) {
    const { code, stdout } = await rlcf(["--help"], { task });
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^Usage: rlcf ${task}`));
  }
});

Deno.test("--version prints the version of deno.json, the commit, Deno and the engines", async () => {
  const { code, stdout, stderr } = await rlcf(["--version"]);
  assert.deepEqual([code, stderr], [0, ""]);
  const [program, ...rest] = stdout.trimEnd().split("\n");
  assert.equal(program, `rlcf ${manifest.version}`);
  assert.deepEqual(rest, [
    "commit unknown (run from source)",
    `deno ${Deno.version.deno} (v8 ${Deno.version.v8}, ${Deno.build.target})`,
    `engines ${(await listBackends()).map(({ name }) => name).join(", ")}`,
  ]);
});

Deno.test("a mistyped command or option exits with 2 and names the nearest one", async () => {
  const command = await rlcf(["trian"]);
  assert.equal(command.code, 2);
  assert.match(command.stderr, /unknown command 'trian'\n\(Did you mean train\?\)/);
  const option = await rlcf(["train", "--epoch", "3"]);
  assert.equal(option.code, 2);
  assert.match(option.stderr, /unknown option '--epoch'\n\(Did you mean --epochs\?\)/);
  assert.equal(command.stdout + option.stdout, "");
});

Deno.test("an option in front of its command is refused, not ignored", async () => {
  for (const args of [["--database", "sqlite://", "stats"], ["policy", "--database", "sqlite://", "list"]]) {
    const { code, stderr } = await rlcf(args);
    assert.equal(code, 2);
    assert.match(stderr, /options such as --json come after the command/);
  }
});

Deno.test("no command at all prints the help on stderr and exits with 2", async () => {
  const { code, stdout, stderr } = await rlcf([]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /^Usage: rlcf/);
});

Deno.test("--json prints exactly one JSON object on stdout, also when the command fails", async () => {
  using place = new Workplace();
  const failures: readonly [string[], number, string][] = [
    [["trian", "--json"], 2, "usage"],
    [["ingest", "--json"], 2, "usage"],
    [["train", "--json", "--config", `${place.path}/none.yaml`], 2, "usage"],
    [["train", "--json", "--epochs", "0"], 2, "usage"],
    [["train", "--json", "--policy-type", "oracle"], 2, "usage"],
    [["train", "--json", "--policy-type", "react", ...place.here], 3, "not_enough_data"],
    [["train", "--json", "--resume", ...place.here], 2, "usage"],
    [["train", "--json", ...place.here], 3, "not_enough_data"],
    [["stats", "--json", "--database", `sqlite:///${place.path}`], 4, "database"],
    [["route", "--json", ...place.here], 6, "checkpoint"],
    [["policy", "show", "--json", ...place.here], 6, "checkpoint"],
  ];
  for (const [args, code, kind] of failures) {
    const finished = await rlcf(args, { cwd: place.path });
    assert.deepEqual([args, finished.code], [args, code]);
    const { status, error } = onlyObject(finished) as { status: string; error: { code: string; message: string } };
    assert.deepEqual([status, error.code], ["failed", kind]);
    assert.ok(error.message.length > 10);
  }
});

Deno.test("a YAML file that cannot be used is told with its line and column", async () => {
  using place = new Workplace();
  const cases: readonly [string, RegExp][] = [
    ["training:\n\tepochs: 3\n", /:2:1: .*[Tt]abs/],
    ["training:\n  epochs: 3\n  epochs: 4\n", /:3:3: found the key "epochs" again/],
    ["training:\n  epoch: 3\n", /:2:3: found the key "epoch".*did you mean epochs\?/],
  ];
  for (const [text, wanted] of cases) {
    const { code, stderr } = await rlcf(["train", "--config", place.write("bad.yaml", text)]);
    assert.equal(code, 2);
    assert.match(stderr, wanted);
  }
});

Deno.test("nothing heavy is loaded before a command asks for it: no tensors, no database", async () => {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "src/main.ts"],
    cwd: new URL("../../", import.meta.url).pathname,
    stderr: "null",
  }).output();
  const { roots, modules } = JSON.parse(new TextDecoder().decode(output.stdout)) as ModuleGraph;
  const eager = eagerImports(roots[0]!, modules);
  assert.ok(eager.some((specifier) => specifier.endsWith("src/cli/train.ts")), "the graph was read");
  const heavy = eager.filter((specifier) =>
    /tensorflow|kysely|npm:pg@|node:sqlite|src\/(store|engine)\//.test(specifier)
  );
  assert.deepEqual(heavy, []);
});

Deno.test("a reader that goes away after one line, as head does, ends the program quietly", async () => {
  using place = new Workplace();
  await place.fill(40);
  assert.equal((await place.run(["train"])).code, 0);
  const query = JSON.stringify({ query_id: "q", query_embedding: [1, 0, 0, 0, 0, 0, 0, 0] });
  const many = place.write("many.jsonl", `${query}\n`.repeat(20_000));
  const child = start(["route", many, ...place.here], { cwd: place.path });
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const stderr = await new Response(child.stderr).text();
  assert.deepEqual([(await child.status).code, stderr], [0, ""]);
});

interface ModuleGraph {
  readonly roots: readonly string[];
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly isDynamic?: boolean;
      readonly code?: { readonly specifier?: string };
    }[];
  }[];
}

/** Everything that is loaded when the root is, without what is imported only when it is needed. */
function eagerImports(root: string, modules: ModuleGraph["modules"]): string[] {
  const known = new Map(modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  for (const waiting = [root]; waiting.length > 0;) {
    const specifier = waiting.pop()!;
    if (seen.has(specifier)) continue;
    seen.add(specifier);
    for (const { isDynamic, code } of known.get(specifier)?.dependencies ?? []) {
      if (isDynamic !== true && code?.specifier !== undefined) waiting.push(code.specifier);
    }
  }
  return [...seen];
}
