/**
 * Command lines that nobody meant to type: each ends with a message and an exit code of the contract, prints nothing
 * that moves a terminal's cursor, and writes nowhere but where it was told to.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { commandOf, logOf, rlcf, Workplace } from "../cli/support.ts";
import { MARK } from "./hostile_driver.ts";
import { HOSTILE_TEXTS } from "./hostile_values.ts";

/** fast-check prints the seed and the smallest example where a property fails. */
const SEED = 20261122;
/** All but 1, which is a defect of rlcf, and 130, which is a signal. */
const CODES = [0, 2, 3, 4, 5, 6, 7];

const COMMANDS: readonly (readonly string[])[] = [
  ...[
    ["train"],
    ["stats"],
    ["ingest"],
    ["route", "log.jsonl"],
    ["evaluate"],
    ["report"],
    ["import", "log.jsonl"],
    ["export"],
    ["policy"],
    ["help"],
    [],
  ],
  ...["list", "show", "activate", "rollback", "tag", "verify", "drop"].map((name) => ["policy", name]),
];
const FLAGS = [
  ...["--config", "--database", "--log-level", "--json", "--help", "--version", "--policy-type", "--max-episodes"],
  ...["--epochs", "--backend", "--seed", "--policy-version", "--lookback-days", "--no-activate", "--resume"],
  ...["--dry-run", "--rejects", "--against", "--all", "--output", "--force", "--reason", "--remove", "--", "-", "-V"],
  ...["--no-json", "--json=1", "--config=", "--seed=-1", "-abc", "---", "--__proto__", "--constructor"],
];
// A process's arguments cannot hold NUL, and halves of pairs do not reach it as such.
const words = HOSTILE_TEXTS.filter((text) => !text.includes("\0") && text.isWellFormed());
const VALUES = [
  ...words,
  ...["1", "0", "-1", "1e3", "0x10", "1.5", "99999999999999999999", "gating", "react", "cpu", "simd", "info", "debug"],
  ...[
    "v1.0.0",
    "v9.9.9",
    "../../x",
    "/etc/passwd",
    "/",
    ".",
    "/dev/null",
    "/proc/self/mem",
    "nowhere/file",
    "log.jsonl",
  ],
  ...[
    "sqlite://",
    "sqlite:///log.db",
    "sqlite:///nowhere/log.db",
    "sqlite:////",
    "postgresql://u:hunter2@127.0.0.1:1/x",
  ],
  ...["file:///etc/passwd", "https://127.0.0.1:1/x", "x".repeat(20_000), "-".repeat(5000), "a=b", "*", "$(id)", "`id`"],
];

/** What was said about one command line. */
interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs command lines, in order, where a log of 12 records and a version v1.0.0 lie. */
async function runAll(place: Workplace, lines: readonly (readonly string[])[]): Promise<Said[]> {
  const file = place.write("lines.json", JSON.stringify(lines));
  const [program, ...task] = commandOf("rlcf");
  const driver = new URL("hostile_driver.ts", import.meta.url).pathname;
  const args = task.map((word) => word === "--allow-write" ? `--allow-write=${place.path}` : word)
    .map((word) => word.endsWith("src/main.ts") ? driver : word);
  const { stdout, stderr } = await new Deno.Command(program!, {
    args: [...args, file],
    cwd: place.path,
    env: { NO_COLOR: "1", RLCF_ASYNC_DATABASE_URL: "", RLCF_CHECKPOINT_DIR: place.policies },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).split(MARK));
  return lines.map((line, i) => {
    const mark = /^(\d+) (\d+)\n/.exec(out![i + 1] ?? "");
    assert.equal(mark?.[1], String(i), `the process ended at ${JSON.stringify(line)}: ${err!.at(-1)}`);
    const text = (parts: string[]): string => parts[i]!.replace(/^\d+ \d+\n/, "");
    return { code: Number(mark[2]), stdout: text(out!), stderr: text(err!) };
  });
}

/** Control characters but newline, and what turns the direction of a text. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

Deno.test("1,200 random command lines end with a message and a code, and print no control character", async () => {
  using place = new Workplace();
  place.write("log.jsonl", logOf(12));
  await place.fill(12);
  assert.equal((await place.run(["train"])).code, 0);
  const before = listing(place.path);
  const argument = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...FLAGS) },
    { weight: 3, arbitrary: fc.constantFrom(...VALUES) },
    { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 30 }).map((text) => text.replaceAll("\0", "")) },
  );
  const line = fc.tuple(fc.constantFrom(...COMMANDS), fc.array(argument, { maxLength: 6 }), fc.nat(3))
    .map(([command, rest, home]) => [...command, ...rest, ...home === 0 ? ["--json"] : home === 1 ? place.here : []])
    // One process has one stdin, and a second line could not read it; the tests of ingest and route do.
    .filter((args) => !args.includes("-"));
  const lines = fc.sample(line, { seed: SEED, numRuns: 1200 });
  const said = await runAll(place, lines);
  const codes = new Map<number, number>();
  for (const [i, { code, stdout, stderr }] of said.entries()) {
    const told = `seed ${SEED}, line ${i}: ${JSON.stringify(lines[i]).slice(0, 500)}\n${stdout}${
      stderr.slice(0, 2000)
    }`;
    assert.ok(CODES.includes(code), `exit code ${code}, ${told}`);
    codes.set(code, (codes.get(code) ?? 0) + 1);
    assert.ok(!UNSAFE.test(stdout + stderr), told);
    assert.ok(!/unexpected error|hunter2/.test(stdout + stderr), told);
    assert.ok(stderr.length < 40_000, told);
    if (code !== 0) assert.ok(/error: |Usage: /.test(stderr), told);
    const isText = stdout === "" || lines[i]!.some((word) => /^(-h|--help|-V|--version|help)$/.test(word));
    if (lines[i]!.includes("--json") && !isText) {
      assert.match(stdout, /^\{.*\}\n$/, told);
      JSON.parse(stdout);
    }
  }
  assert.ok((codes.get(0) ?? 0) > 20 && codes.size >= 4, `codes ${JSON.stringify([...codes])}`);
  // Everything that is new was asked for by its name.
  const added = listing(place.path).filter((name) => !before.includes(name) && name !== "lines.json");
  const asked = lines.flat().map((word) => word.split("/").at(-1)!);
  for (const name of added.filter((name) => !/^(policies|log\.db)/.test(name))) {
    assert.ok(
      asked.some((word) => word === name) || /^(report-)?gating-v1\.0\.\d+\.(html|safetensors)$/.test(name),
      `made ${name}`,
    );
  }
});

Deno.test("a version that is a path leads out of nothing, wherever a version is taken", async () => {
  using place = new Workplace();
  await place.fill(12);
  assert.equal((await place.run(["train"])).code, 0);
  Deno.mkdirSync(join(place.path, "x"));
  const versions = ["../../x", "../x", "/etc", "..", ".", "", "v1.0.0/../../x", "%2e%2e%2fx", "v1.0.0\n", "V1.0.0"];
  const lines = versions.flatMap((version) => [
    ...["activate", "show", "verify", "tag"].map((sub) => ["policy", sub, version, ...place.here]),
    ["report", version, ...place.here],
    ["evaluate", version, ...place.here],
    ["route", place.write("query.jsonl", ""), "--policy-version", version, ...place.here],
  ]);
  for (const [i, { code, stderr }] of (await runAll(place, lines)).entries()) {
    assert.equal(code, 6, `${JSON.stringify(lines[i])}: ${stderr}`);
    assert.match(stderr, /Policy checkpoint not found: gating has no version/);
  }
});

Deno.test("the same flag twice takes the last one, and what follows -- is no flag", async () => {
  using place = new Workplace();
  await place.fill(12);
  const dry = await place.run(["train", "--dry-run", "--json", "--seed", "1", "--seed", "7"]);
  assert.equal(JSON.parse(dry.stdout).config["training.seed"].value, 7);
  const log = place.write("--json", logOf(2));
  const { code, stderr } = await rlcf(["ingest", ...place.here, "--", "--json"], { cwd: place.path });
  assert.deepEqual([code, stderr.includes("4 were there already")], [0, true], `${log}: ${stderr}`);
});

/** Every file below a directory. */
function listing(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name);
}
