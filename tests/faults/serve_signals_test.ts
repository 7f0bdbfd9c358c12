/**
 * A server that is stopped or killed in the middle of its work: whatever it has acknowledged is in the database.
 *
 * @module
 */
import assert from "node:assert/strict";
import { recordOf, start } from "../cli/support.ts";
import { CrashSite, DIALECTS, pause } from "./crash_support.ts";

const CLIENTS = 12;

/** A server in a process of its own. */
interface Running {
  readonly child: Deno.ChildProcess;
  readonly url: string;
  readonly stderr: Promise<string>;
}

async function serve(site: CrashSite): Promise<Running> {
  const child = start(["serve", "--port", "0", "--json", ...site.here], { cwd: site.place.path });
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the server ended: ${await stderr}`);
    text += value;
  }
  // What comes after the one object would be a mistake; reading on lets the process end.
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return { child, url: JSON.parse(text).url, stderr };
}

/** What clients were told. */
interface Told {
  readonly traces: string[];
  readonly feedback: string[];
  /** Statuses that are neither success nor 503. */
  readonly others: number[];
}

/** Posts records, half of them in two steps, until the server is gone. */
async function client(url: string, n: number, told: Told): Promise<void> {
  const post = async (path: string, body: unknown): Promise<Record<string, string>> => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    if (response.status >= 300 && response.status !== 503) told.others.push(response.status);
    return response.ok ? answer : {};
  };
  try {
    for (let i = n;; i += CLIENTS) {
      const { feedback, ...record } = recordOf(i);
      if (i % 2 === 0) {
        const answer = await post("/v1/traces", { ...record, feedback }) as unknown as {
          trace_id?: string;
          feedback?: { feedback_id: string };
        };
        if (answer.trace_id !== undefined) told.traces.push(answer.trace_id);
        if (answer.feedback !== undefined) told.feedback.push(answer.feedback.feedback_id);
      } else {
        const { trace_id } = await post("/v1/traces", { trace: record.trace });
        if (trace_id === undefined) continue;
        told.traces.push(trace_id);
        const { feedback_id } = await post("/v1/feedback", { trace_id, feedback, user_id: `u${i}` });
        if (feedback_id !== undefined) told.feedback.push(feedback_id);
      }
    }
  } catch {
    // The server is gone.
  }
}

async function idsOf(site: CrashSite, table: string): Promise<Set<unknown>> {
  return new Set((await site.query(`select id from ${table}`)).map(({ id }) => id));
}

for (const { dialect, missing } of DIALECTS) {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    Deno.test({
      name: `${dialect}: nothing that was acknowledged is lost by ${signal} under load${
        missing ? ` (${missing})` : ""
      }`,
      ignore: missing !== undefined,
      fn: async () => {
        await using site = await CrashSite.open(dialect, "  epochs: 2", "  activate: always");
        const { child, url, stderr } = await serve(site);
        const told: Told = { traces: [], feedback: [], others: [] };
        const clients = Array.from({ length: CLIENTS }, (_, n) => client(url, n, told));
        while (told.feedback.length < 150) await pause(5);
        child.kill(signal);
        const status = await child.status;
        await Promise.all(clients);
        assert.deepEqual(told.others, []);
        const [traces, feedback] = [await idsOf(site, "rlcf_traces"), await idsOf(site, "rlcf_feedback")];
        assert.deepEqual(told.traces.filter((id) => !traces.has(id)), [], "lost traces");
        assert.deepEqual(told.feedback.filter((id) => !feedback.has(id)), [], "lost feedback");
        assert.ok(feedback.size >= 150);
        const marks = "select count(*) from rlcf_traces where " +
          (dialect === "sqlite" ? "has_feedback = 1" : "has_feedback");
        assert.equal(
          await site.count(marks),
          await site.count("select count(distinct trace_id) from rlcf_feedback"),
          "marks",
        );
        if (signal === "SIGTERM") {
          assert.deepEqual([status.code, status.signal], [0, null], await stderr);
          assert.match(await stderr, /stopped; everything that was acknowledged is stored\n$/);
        } else {
          assert.equal(status.signal, "SIGKILL");
          await stderr;
        }
      },
    });
  }
}

Deno.test("a second signal ends at once, though a client holds the server up", async () => {
  await using site = await CrashSite.open("sqlite", "  epochs: 2", "  activate: always");
  const { child, url, stderr } = await serve(site);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  await connection.write(new TextEncoder().encode(
    "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  ));
  await pause(100);
  child.kill("SIGTERM");
  await pause(300);
  child.kill("SIGTERM");
  const { code } = await child.status;
  assert.equal(code, 130);
  assert.match(await stderr, /stopping: what was asked is still answered/);
});
