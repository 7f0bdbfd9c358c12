import assert from "node:assert/strict";
import { join } from "node:path";
import { REPORT_MARKER } from "../../src/report/page.ts";
import { readMarkup } from "../report/well_formed.ts";
import { onlyObject, recordOf, Workplace } from "./support.ts";

const EVIL = `<script>alert("1")</script>`;

/** A log whose texts and users would like to be markup. */
async function filled(place: Workplace, records = 60): Promise<void> {
  const lines = Array.from(
    { length: records },
    (_, i) => JSON.stringify({ ...recordOf(i), query_text: `Domanda ${i} ${EVIL}`, user_id: `${EVIL}${i % 3}` }) + "\n",
  );
  const { code, stderr } = await place.run(["ingest", place.write("log.jsonl", lines.join(""))]);
  assert.equal(code, 0, stderr);
}

function names(place: Workplace): string[] {
  return [...Deno.readDirSync(place.path)].map(({ name }) => name).filter((name) => /report|tmp/.test(name)).sort();
}

Deno.test("report writes a page about the active version into the working directory and prints its name", async () => {
  using place = new Workplace();
  await filled(place);
  await place.run(["train"]);
  await place.run(["train"]);
  const { code, stdout, stderr } = await place.run(["report"]);
  assert.deepEqual([code, stdout], [0, "report-gating-v1.0.1.html\n"], stderr);
  assert.match(stderr, /v1\.0\.1: /);
  assert.deepEqual(names(place), ["report-gating-v1.0.1.html"]);
  const page = Deno.readTextFileSync(join(place.path, "report-gating-v1.0.1.html"));
  const { text, elements } = readMarkup(page);
  assert.match(text, /v1\.0\.0, before/);
  assert.ok(text.includes(`Domanda `) && text.includes(EVIL));
  assert.ok(!elements.includes("script"));
  // Four curves, values, shares, twenty queries, three swatches and two samples.
  assert.equal(elements.filter((name) => name === "svg").length, 4 + 1 + 1 + 20 + 3 + 2);
});

Deno.test("report --json prints one object with the path and what the page says", async () => {
  using place = new Workplace();
  await filled(place);
  await place.run(["train"]);
  const found = onlyObject(await place.run(["report", "v1.0.0", "--json", "--output", "mine.html"]));
  assert.deepEqual(Object.keys(found), [
    ...["path", "policy_type", "version", "active", "previous_version", "verdict", "values", "changes", "log", "notes"],
  ]);
  assert.deepEqual([found.path, found.version, found.active, found.previous_version], [
    "mine.html",
    "v1.0.0",
    true,
    null,
  ]);
  assert.equal((found.log as { available: number }).available, 60);
  assert.equal((found.changes as { most_changed: unknown[] }).most_changed.length, 20);
  assert.ok(Deno.statSync(join(place.path, "mine.html")).isFile);
});

Deno.test("an earlier report is replaced, another file only with --force, a directory never", async () => {
  using place = new Workplace();
  await filled(place, 12);
  await place.run(["train"]);
  const old = place.write("old.html", `<!doctype html>\n${REPORT_MARKER}\nold`);
  assert.equal((await place.run(["report", "--output", old])).code, 0);
  assert.ok(Deno.readTextFileSync(old).length > 1000);

  const notes = place.write("notes.html", "my notes");
  const refused = await place.run(["report", "--output", notes]);
  assert.equal(refused.code, 2);
  assert.match(
    refused.stderr,
    /^error: cannot write the report to .*notes\.html: another file has this name\nhint: .*--force/,
  );
  assert.equal(Deno.readTextFileSync(notes), "my notes");
  assert.equal((await place.run(["report", "--output", notes, "--force"])).code, 0);
  assert.ok(Deno.readTextFileSync(notes).includes(REPORT_MARKER));

  const directory = await place.run(["report", "--output", place.policies, "--force"]);
  assert.deepEqual([directory.code, /it is a directory/.test(directory.stderr)], [2, true]);
  const nowhere = await place.run(["report", "--output", join(place.path, "no", "such", "page.html")]);
  assert.deepEqual([nowhere.code, /cannot write the report/.test(nowhere.stderr)], [2, true]);
});

Deno.test("a version that is not there, or broken, exits with 6 and leaves no file", async () => {
  using place = new Workplace();
  await filled(place, 12);
  const none = await place.run(["report"]);
  assert.equal(none.code, 6);
  assert.match(none.stderr, /no gating policy is active/);
  await place.run(["train"]);
  assert.equal((await place.run(["report", "v9.9.9", "--json"])).code, 6);
  Deno.writeTextFileSync(join(place.policies, "gating-v1.0.0", "policy.safetensors"), "damaged");
  assert.equal((await place.run(["report"])).code, 6);
  assert.deepEqual(names(place), []);
});
