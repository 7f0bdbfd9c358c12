/**
 * Runs all tests under the permissions they need and ends with one plain line, `N passed, N failed`.
 *
 * Arguments are handed to `deno test`, e.g. `deno task test tests/store --filter lease`.
 *
 * @module
 */
const PERMISSIONS = [
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-net",
  "--allow-sys",
  // Whole commands, PostgreSQL servers and second processes are started for real.
  "--allow-run",
];

const child = new Deno.Command(Deno.execPath(), {
  args: ["test", "--no-prompt", ...PERMISSIONS, ...(Deno.args.length > 0 ? Deno.args : ["tests"])],
  stdout: "piped",
  stderr: "inherit",
}).spawn();

let tail = "";
const decoder = new TextDecoder();
for await (const chunk of child.stdout) {
  await Deno.stdout.write(chunk);
  tail = (tail + decoder.decode(chunk, { stream: true })).slice(-4000);
}
const { code } = await child.status;

// deno-lint-ignore no-control-regex
const plain = tail.replace(/\x1b\[[0-9;]*m/g, "");
const summary = [...plain.matchAll(/(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \| (\d+) ignored)?/g)].at(-1);
if (summary !== undefined) {
  const [, passed, failed, ignored] = summary;
  // deno-lint-ignore no-console
  console.log(`${passed} passed, ${failed} failed${ignored === undefined ? "" : `, ${ignored} skipped`}`);
}
Deno.exit(code);
