/**
 * What a person sees on a terminal, by way of a pseudo terminal of 80 columns from util-linux's `script`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { commandOf, Workplace } from "./support.ts";

const hasScript = await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);

/** Runs a command on a terminal and returns all that was written there. */
async function onTerminal(place: Workplace, args: readonly string[]): Promise<string> {
  const quoted = [...commandOf("rlcf"), ...args, ...place.here].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  const { stdout } = await new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", `stty cols 80; ${quoted.join(" ")}`, "/dev/null"],
    cwd: place.path,
    stdin: "null",
    stderr: "null",
    env: { NO_COLOR: "" },
  }).output();
  return new TextDecoder().decode(stdout);
}

/** The screen's lines as they stand in the end: a carriage return starts a line over. */
function settled(output: string): string[] {
  return output.split("\r\n").map((line) => line.split("\r").at(-1)!.replaceAll("\x1b[K", ""));
}

Deno.test({
  name: "on a terminal train shows a bar that fits, leaves none of it behind, and sets heads in bold",
  ignore: !hasScript,
  fn: async () => {
    using place = new Workplace();
    place.configure("  epochs: 60", "  save_frequency: 20\n  activate: always");
    await place.fill(100);
    const output = await onTerminal(place, ["train", "--log-level", "debug"]);
    const bars = output.split(/\r|\n/).filter((line) => /[█░]/.test(line)).map((line) => line.replaceAll("\x1b[K", ""));
    const steps = /^v1\.0\.0 [█░]+ +\d+% {2}[\d,]+\/[\d,]+ episodes {2}ETA \d/;
    const firstStep = bars.findIndex((bar) => steps.test(bar));
    assert.ok(firstStep > 0, output);
    for (const [i, bar] of bars.entries()) {
      assert.ok([...bar].length < 80, bar);
      assert.match(bar, i < firstStep ? /^v1\.0\.0 [█░]+ +\d+% {2}fitting the reward model$/ : steps);
    }
    const lines = settled(output);
    assert.ok(!lines.some((line) => /[█░]/.test(line)), lines.join("\n"));
    assert.ok(lines.some((line) => /^\d\d:\d\d:\d\d debug {3}published gating v1\.0\.0-ep\./.test(line)));
    assert.ok(output.includes("\x1b[1m"));
  },
});

Deno.test({
  name: "tables are no wider than the terminal, and nothing is cut off",
  ignore: !hasScript,
  fn: async () => {
    using place = new Workplace();
    await place.fill(20);
    await place.run(["train"]);
    for (const args of [["train", "--dry-run"], ["policy", "show"], ["policy", "list"], ["stats"]]) {
      const lines = settled(await onTerminal(place, args));
      // deno-lint-ignore no-control-regex -- bold and its end take no room
      const wide = lines.filter((line) => [...line.replace(/\x1b\[\d*m/g, "")].length > 80);
      assert.deepEqual(wide.filter((line) => !/^\d\d:\d\d:\d\d /.test(line)), [], args.join(" "));
      assert.ok(!lines.some((line) => line.includes("…")));
    }
  },
});
