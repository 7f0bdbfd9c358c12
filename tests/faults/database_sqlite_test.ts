/**
 * SQLite files that are no database, cut, damaged, locked, read-only, or on a disk without space.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createPersistence } from "../../src/store/create.ts";
import { type Finished, logOf, onlyObject, rlcf, Workplace } from "../cli/support.ts";
import { pause } from "./database_support.ts";

const COMMANDS = ["train", "ingest"] as const;

/** Whether a disk of a given size can be made here. */
const canMount = (() => {
  try {
    const args = ["-rm", "sh", "-c", "mount -t tmpfs tmpfs /tmp"];
    return new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
})();

Deno.test("a file that is no database, or not a whole one, is refused by every command and left as it is", async () => {
  using work = new Workplace();
  await work.fill(200);
  const whole = await Deno.readFile(`${work.path}/log.db`);
  const overwritten = whole.slice();
  for (let at = 16_384; at < overwritten.length; at += 16_384) overwritten.fill(0xff, at, at + 200);
  const log = work.write("more.jsonl", logOf(400));
  const cases: [string, Uint8Array, RegExp][] = [
    ["text", new TextEncoder().encode("this is not a database. ".repeat(200)), /the file is not a SQLite database/],
    ["half", whole.slice(0, whole.length / 2), /the file is damaged/],
    ["head", whole.slice(0, 60), /the file is (damaged|not a SQLite database)/],
    ["without its last bytes", whole.slice(0, -5000), /the file is damaged/],
    ["overwritten", overwritten, /the file is damaged/],
  ];
  for (const [name, bytes, cause] of cases) {
    const path = `${work.path}/broken.db`;
    await Deno.writeFile(path, bytes);
    for (const command of COMMANDS) {
      const args = command === "ingest" ? [command, log] : [command];
      const { code, stderr } = await rlcf([...args, "--config", work.config, "--database", `sqlite:///${path}`]);
      assert.equal(code, 4, `${name}, ${command}: ${stderr}`);
      assert.match(stderr, cause, `${name}, ${command}`);
      assert.match(stderr, /hint: /);
    }
    assert.deepEqual(await Deno.readFile(path), bytes, name);
    for (const left of ["-wal", "-shm"]) await Deno.remove(path + left).catch(() => {});
  }
});

Deno.test("a directory, and a folder that is not there, are refused", async () => {
  using work = new Workplace();
  for (const path of [work.path, `${work.path}/no/such.db`]) {
    const { code, stderr } = await rlcf(["ingest", work.write("l.jsonl", logOf(1)), "--database", `sqlite:///${path}`]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /the file cannot be opened/);
  }
});

Deno.test("a file that may only be read, in the write-ahead mode, is refused with the remedy", async () => {
  using work = new Workplace();
  await work.fill(20);
  const folder = `${work.path}/readonly`;
  await Deno.mkdir(folder);
  await Deno.copyFile(`${work.path}/log.db`, `${folder}/log.db`);
  await Deno.chmod(`${folder}/log.db`, 0o444);
  await Deno.chmod(folder, 0o555);
  try {
    // Root may write everywhere, unless it gives that up.
    const wrapper = Deno.uid() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
    for (const command of ["stats", "train"]) {
      const { code, stderr } = await rlcf(
        [command, "--config", work.config, "--database", `sqlite:///${folder}/log.db`],
        { wrapper },
      );
      assert.equal(code, 4, stderr);
      assert.match(stderr, /the file (may only be read|cannot be opened)/);
      assert.match(stderr, /hint: .*(writable|written)/);
    }
  } finally {
    await Deno.chmod(folder, 0o755);
  }
});

Deno.test("a file that may not grow ends ingest with exit 4, and what was stored before stays whole", async () => {
  using work = new Workplace();
  await work.fill(100);
  const log = work.write("more.jsonl", logOf(5000));
  // In blocks of 512 bytes; the signal would kill the process before SQLite hears of it.
  const wrapper = ["sh", "-c", 'trap "" XFSZ; ulimit -f 8000; exec "$@"', "sh"];
  const result = await work.run(["ingest", log, "--json"], { wrapper });
  await noneOfTheBatch(work, result);
});

const FULL_DISK = "a full disk ends ingest with exit 4, and what was stored before stays whole";

Deno.test(canMount ? FULL_DISK : `${FULL_DISK} (no disk can be mounted here)`, { ignore: !canMount }, async () => {
  using work = new Workplace();
  await work.fill(100);
  const log = work.write("more.jsonl", logOf(5000));
  const disk = `${work.path}/disk`;
  await Deno.mkdir(disk);
  const mount = `mount -t tmpfs -o size=4m tmpfs ${disk}`;
  const wrapper = [
    "unshare",
    "-rm",
    "sh",
    "-c",
    `${mount} && cp ${work.path}/log.db ${disk} || exit 77
    "$@"; code=$?; cp ${disk}/log.db* ${work.path}; exit $code`,
    "sh",
  ];
  const result = await rlcf(
    ["ingest", log, "--json", "--config", work.config, "--database", `sqlite:///${disk}/log.db`],
    { wrapper, cwd: work.path },
  );
  await noneOfTheBatch(work, result);
});

Deno.test("a file that another process keeps locked is waited for", async () => {
  using work = new Workplace();
  await work.fill(20);
  const other = new DatabaseSync(`${work.path}/log.db`);
  other.exec("begin immediate");
  const ingest = work.run(["ingest", work.write("more.jsonl", logOf(40)), "--json"]);
  // Longer than the 5 seconds that SQLite's users usually wait.
  await pause(6000);
  other.exec("commit");
  other.close();
  const result = await ingest;
  assert.equal(result.code, 0, result.stderr);
  assert.equal(onlyObject(result).traces, 20);
});

/** The failure is named, and the file holds whole batches only. */
async function noneOfTheBatch(work: Workplace, result: Finished): Promise<void> {
  assert.equal(result.code, 4, result.stderr);
  assert.match(result.stderr, /cannot store records in .*: the disk (is full|failed, is full)/);
  assert.match(result.stderr, /were stored before; run the same command again/);
  using database = new DatabaseSync(`${work.path}/log.db`);
  assert.deepEqual(database.prepare("pragma integrity_check").all().map((row) => row.integrity_check), ["ok"]);
  await using store = await createPersistence(work.database);
  const stats = await store.getTrainingStats();
  assert.equal(stats.total_traces, stats.total_feedback);
  assert.ok(stats.total_traces >= 100 && stats.total_traces < 5000);
  // Once there is space again the same command goes on.
  const again = await work.run(["ingest", `${work.path}/more.jsonl`, "--json"]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal((await store.getTrainingStats()).total_traces, 5000);
}
