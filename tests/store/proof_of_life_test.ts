/** What is believed about the death of a holder, and what is not: everyone may write into the directory of the proofs. */
import assert from "node:assert/strict";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import { acquireLease } from "../../src/store/leases.ts";
import { migrate } from "../../src/store/migrate.ts";
import { forgetProof, isProvablyGone, ProofOfLife, proofPath } from "../../src/store/proof_of_life.ts";
import type { LeaseHolder } from "../../src/store/records.ts";

const ignore = Deno.build.os === "windows";
/** Nobody's number: files are given to this user where the tests run as root. */
const NOBODY = 65534;

/** A holder that nobody else has, and the path of its proof, which is removed at the end. */
async function withHolder(work: (holder: LeaseHolder, path: string) => Promise<void>): Promise<void> {
  const time = new Date().toISOString();
  const host = `host-${crypto.randomUUID()}`;
  const holder = { policyType: "gating", host, processId: 1, token: 1, acquiredAt: time, expiresAt: time };
  const path = await proofPath(holder);
  try {
    await work(holder, path);
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

/** Runs a program that only makes something at a path. */
async function make(command: string, ...args: string[]): Promise<void> {
  assert.ok((await new Deno.Command(command, { args }).output()).success, `${command} ${args.join(" ")}`);
}

/** Whether the answer is what is wanted, and comes at all: a process that waits in `open` cannot even be stopped. */
async function isGoneInProcess(holder: LeaseHolder): Promise<string> {
  const module = new URL("../../src/store/proof_of_life.ts", import.meta.url).href;
  const script = `import { isProvablyGone } from ${JSON.stringify(module)};
    console.log(await isProvablyGone(${JSON.stringify(holder)}));`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    // The permissions of the published program.
    args: ["run", "--quiet", "--no-check", "--no-prompt", `--config=${config}`]
      .concat(
        "--allow-read",
        "--allow-write",
        "--allow-sys=hostname",
        `data:text/typescript,${encodeURIComponent(script)}`,
      ),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const { stdout, stderr } = await child.output();
  clearTimeout(timer);
  return (new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr)).trim();
}

Deno.test({
  name: "a file of this user proves a life while it is locked and a death when it is not",
  ignore,
  fn: () =>
    withHolder(async (holder, path) => {
      assert.equal(await isProvablyGone(holder), false);
      const proof = (await ProofOfLife.give(holder))!;
      assert.equal(await isProvablyGone(holder), false);
      await proof.end(false);
      assert.equal(await isProvablyGone(holder), true);
      assert.equal(await isGoneInProcess(holder), "true");
      await forgetProof(holder);
      await assert.rejects(Deno.lstat(path), Deno.errors.NotFound);
      assert.equal(await isProvablyGone(holder), false);
      const left = [...Deno.readDirSync("/tmp")].map(({ name }) => `/tmp/${name}`);
      assert.deepEqual(left.filter((name) => name.startsWith(path)), []);
    }),
});

Deno.test({
  name: "a link proves nothing, whichever file of this user it leads to",
  ignore,
  fn: () =>
    withHolder(async (holder, path) => {
      const target = await Deno.makeTempFile();
      try {
        await Deno.symlink(target, path);
        assert.equal(await isProvablyGone(holder), false);
        await Deno.remove(path);
        await make("ln", target, path);
        assert.equal(await isProvablyGone(holder), false);
      } finally {
        await Deno.remove(target);
      }
    }),
});

Deno.test({
  name: "a pipe, a directory, a file with something in it and one that others may read prove nothing",
  ignore,
  fn: () =>
    withHolder(async (holder, path) => {
      await make("mkfifo", "-m", "600", path);
      assert.equal(await isGoneInProcess(holder), "false");
      await Deno.remove(path);
      await Deno.mkdir(path, { mode: 0o700 });
      assert.equal(await isProvablyGone(holder), false);
      await Deno.remove(path);
      await Deno.writeTextFile(path, "x", { mode: 0o600 });
      assert.equal(await isProvablyGone(holder), false);
      await Deno.writeTextFile(path, "");
      assert.equal(await isProvablyGone(holder), true);
      await Deno.chmod(path, 0o644);
      assert.equal(await isProvablyGone(holder), false);
    }),
});

Deno.test({
  name: "a file of another user proves nothing (needs root, to give a file away)",
  ignore: ignore || Deno.uid() !== 0,
  fn: () =>
    withHolder(async (holder, path) => {
      await Deno.writeTextFile(path, "", { mode: 0o600 });
      assert.equal(await isProvablyGone(holder), true);
      await Deno.chown(path, NOBODY, NOBODY);
      assert.equal(await isProvablyGone(holder), false);
    }),
});

Deno.test({
  name: "whoever takes a lease over removes the proof of the one before, dead or only late",
  ignore,
  fn: async () => {
    const database = openSqlite({ dialect: "sqlite", path: ":memory:", location: "sqlite://" });
    const dead: LeaseHolder[] = [];
    try {
      await migrate(database);
      const late = await acquireLease(database, "gating");
      dead.push(late.holder);
      await Deno.lstat(await proofPath(late.holder));
      await database.db.updateTable("training_leases").set({ expires_at: "2020-01-01T00:00:00.000Z" }).execute();
      await using next = await acquireLease(database, "gating");
      assert.equal(next.holder.token, late.holder.token + 1);
      await assert.rejects(Deno.lstat(await proofPath(late.holder)), Deno.errors.NotFound);
      await Deno.lstat(await proofPath(next.holder));
      await late[Symbol.asyncDispose]();
    } finally {
      for (const holder of dead) await forgetProof(holder);
      await database.db.destroy();
    }
  },
});
