/**
 * Data that want to be more than data, on their way to a terminal and to a page: queries, users, experts, versions,
 * tags and reasons that hold the commands of terminals, marks of HTML, and what turns the direction of a text.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { commandOf, logOf, rlcf, Workplace } from "../cli/support.ts";
import { readMarkup } from "../report/well_formed.ts";

/** Clears the screen, sets the title, writes over the line, in seven bits and in eight; HTML; a reversed name; a line. */
const EVIL = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\x7f<script>alert(1)</script>\"'&\u202eexe\u2066\nerror: fake";
/** Control characters but newline, and what turns the direction of a text. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

/** A workplace whose log, experts and versions all say EVIL. */
function evilPlace(): Workplace {
  const place = new Workplace();
  const experts = ["literal", "systemic", "principles", "precedent"].map((name) => JSON.stringify(name + EVIL));
  place.configure("  epochs: 2\n  min_feedback: 5");
  const config = Deno.readTextFileSync(place.config).replace(
    "gating_policy:\n",
    `$&  experts: [${experts.join(", ")}]\n`,
  );
  Deno.writeTextFileSync(place.config, config);
  const lines = logOf(60).trimEnd().split("\n").map((line, i) => {
    const record = JSON.parse(line);
    record.trace.query_id += EVIL;
    record.trace.actions[0].parameters.expert_type += EVIL;
    return JSON.stringify({
      ...record,
      user_id: record.user_id + EVIL,
      query_text: `What is ${i}? ${EVIL}`,
      policy_version: `v0${EVIL.slice(0, 40)}`,
      source: EVIL.slice(0, 40),
    });
  });
  place.write("log.jsonl", lines.join("\n"));
  return place;
}

const COMMANDS: readonly (readonly string[])[] = [
  ["ingest", "log.jsonl"],
  ["stats"],
  ["stats", "--json"],
  ["train", "--dry-run"],
  ["train", "--log-level", "debug"],
  ["train", "--json"],
  ["evaluate"],
  ["evaluate", "v1.0.0", "--against", "v1.0.1", "--all"],
  ["policy", "tag", "v1.0.0", EVIL],
  ["policy", "activate", "v1.0.0", "--reason", EVIL],
  ["policy", "list"],
  ["policy", "list", "--json"],
  ["policy", "show", "v1.0.0"],
  ["policy", "show", "v1.0.0", "--json"],
  ["policy", "show", EVIL],
  ["policy", "tag", "v1.0.0", "--remove"],
  ["report", "v1.0.0", "--output", "report.html"],
  ["report", "v1.0.0", "--json", "--force", "--output", "report.html"],
  ["route", "query.jsonl"],
  ["ingest", "bad.jsonl"],
  ["ingest", `none${EVIL.replaceAll("/", "")}`],
  ["train", "--policy-version", EVIL],
  [EVIL],
  ["stats", `--${EVIL}`],
];

/** Writes the files that the commands read, and runs them. */
async function eachCommand(
  check: (args: readonly string[], told: { code: number; text: string; stderr: string }) => void,
  wrap: (place: Workplace, args: readonly string[]) => Promise<{ code: number; text: string; stderr: string }>,
  commands: readonly (readonly string[])[] = COMMANDS,
): Promise<string> {
  using place = evilPlace();
  place.write("query.jsonl", JSON.stringify({ query_id: EVIL, query_embedding: [1, 0, 0, 0, 0, 0, 0, 0] }));
  place.write("bad.jsonl", `${EVIL.slice(0, 20)}\n${JSON.stringify({ [EVIL]: 1, trace: { query_id: "q" } })}\n`);
  for (const args of commands) check(args, await wrap(place, args));
  return Deno.readTextFileSync(join(place.path, "report.html"));
}

Deno.test("no command prints a control character of the data, nor a line that only looks like its own", async () => {
  const page = await eachCommand((args, { code, text, stderr }) => {
    const told = `${JSON.stringify(args)}: exit ${code}\n${JSON.stringify(text)}`;
    assert.notEqual(code, 1, told);
    assert.ok(!UNSAFE.test(text), told);
    // The message about an unknown command is the library's; its newline came from whoever typed it.
    assert.ok(isMistyped(args) || !/^error: fake/m.test(stderr), told);
  }, async (place, args) => {
    const { code, stdout, stderr } = isMistyped(args) ? await rlcf(args) : await place.run(args);
    return { code, text: stdout + stderr, stderr };
  });
  assert.ok(!UNSAFE.test(page.replaceAll("\t", " ")), "the page holds a control character");
  const { elements } = readMarkup(page);
  assert.ok(!elements.includes("script"));
  assert.match(page, /What is \d+\? .*&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp;/);
  assert.ok(page.includes("Content-Security-Policy"));
});

function isMistyped(args: readonly string[]): boolean {
  return args[0] === EVIL || args[1] === `--${EVIL}`;
}

const script = await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" }).output().then(
  ({ success }) => success,
  () => false,
);

Deno.test({
  name: `on a terminal nothing but bold, dim and the line of progress is sent${script ? "" : " (no script command)"}`,
  ignore: !script || Deno.build.os !== "linux",
  fn: async () => {
    await eachCommand((args, { text, code }) => {
      assert.notEqual(code, 1, text);
      // What the terminal's driver and Deno itself add: the end of a line, and colours of Deno's own are off.
      const rest = ["\r\x1b[K", "\x1b[0m", "\x1b[1m", "\x1b[2m", "\r\n"].reduce(
        (left, own) => left.replaceAll(own, ""),
        text,
      );
      assert.ok(!UNSAFE.test(rest), `${args[0]}: ${JSON.stringify(rest)}`);
    }, async (place, args) => {
      const line = [...commandOf("rlcf"), ...args, ...isMistyped(args) ? [] : place.here].map((word) =>
        `'${word.replaceAll("'", "'\\''")}'`
      ).join(
        " ",
      );
      const run = place.write("run.sh", `cd '${place.path}'\nexport TERM=xterm\nunset NO_COLOR\n${line}\n`);
      const { code, stdout } = await new Deno.Command("script", {
        args: ["-qec", `sh '${run}'`, "/dev/null"],
        env: { RLCF_ASYNC_DATABASE_URL: "" },
        stdin: "null",
      }).output();
      return { code, text: new TextDecoder().decode(stdout), stderr: "" };
    }, COMMANDS.filter((args) => !args.includes("--json") && args[0] !== "evaluate"));
  },
});
