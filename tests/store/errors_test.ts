import assert from "node:assert/strict";
import { RlcfError } from "../../src/base/errors.ts";
import { attempt, mayBeDone } from "../../src/store/errors.ts";
import { explainPostgres } from "../../src/store/postgres/errors.ts";
import { refusal } from "./refusals.ts";

const PASSWORD = "t0p-secret";

Deno.test("an error of the driver is translated, and nothing of its connection is kept", async () => {
  const thrown = Object.assign(new Error(`the server said ${PASSWORD}\nand more`), {
    code: "57P01",
    client: { password: PASSWORD },
  });
  const work = attempt(
    "read x",
    { explain: (error) => explainPostgres(error, PASSWORD) },
    () => Promise.reject(thrown),
  );
  await assert.rejects(work, (error: RlcfError) => {
    assert.ok(
      refusal("database", /^cannot read x: the server ended the connection \(the server said \*\*\*\)$/)(error),
    );
    assert.match(String(error.cause), /57P01/);
    assert.doesNotMatch(Deno.inspect(error, { depth: 20, showHidden: true }), new RegExp(PASSWORD));
    return true;
  });
});

Deno.test("the first of several addresses that failed speaks for all", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED ::1:5432"), { code: "ECONNREFUSED" });
  assert.match(explainPostgres(new AggregateError([refused, refused]), "")!.cause, /nothing listens there/);
});

Deno.test("defects and errors in the user's words pass as they are", async () => {
  for (const thrown of [new TypeError("x is undefined"), new RlcfError("usage", "y")]) {
    const work = attempt("read x", { explain: (error) => explainPostgres(error, "") }, () => Promise.reject(thrown));
    await assert.rejects(work, (error) => error === thrown);
  }
});

Deno.test("only a failure that the server answered, at every attempt, says that nothing was done", async () => {
  const coded = (code: string): Error => Object.assign(new Error("x"), { code });
  const cases: [Error[], boolean][] = [
    [[coded("53100")], false],
    [[coded("40001"), coded("53100")], false],
    [[coded("08006"), coded("53100")], true],
    [[new Error("Query read timeout"), coded("42501")], true],
    [[new Error("Connection terminated unexpectedly")], true],
    [[coded("ECONNRESET")], true],
    [[coded("08007")], true],
  ];
  for (const [failures, wanted] of cases) {
    const left = [...failures];
    const work = attempt(
      "store x",
      { explain: (error) => explainPostgres(error, "") },
      () => Promise.reject(left.length > 1 ? left.shift() : left[0]),
      { ms: 300, reached: true },
    );
    await assert.rejects(work, (error) => mayBeDone(error) === wanted, `${failures.map(String)}`);
  }
  assert.equal(mayBeDone(new RlcfError("usage", "y")), false);
});
