import assert from "node:assert/strict";
import { parseDatabaseUrl, type PostgresTarget } from "../../src/store/url.ts";
import { RlcfError } from "../../src/base/errors.ts";
import { refusal } from "./refusals.ts";

Deno.test("SQLite URLs name a relative file, an absolute file or memory", () => {
  const paths: Record<string, string> = {
    "sqlite+aiosqlite:///rel.db": "rel.db",
    "sqlite:///data/rel.db": "data/rel.db",
    "sqlite:////abs.db": "/abs.db",
    "sqlite+aiosqlite:////var/lib/rlcf/però.db": "/var/lib/rlcf/però.db",
    "sqlite://": ":memory:",
    "sqlite:///": ":memory:",
    "sqlite:///:memory:": ":memory:",
    ":memory:": ":memory:",
  };
  for (const [url, path] of Object.entries(paths)) {
    const target = parseDatabaseUrl(url);
    assert.equal(target.dialect, "sqlite");
    assert.equal(target.dialect === "sqlite" && target.path, path, url);
  }
});

Deno.test("PostgreSQL URLs lose the name of SQLAlchemy's driver and keep the rest", () => {
  const urls: Record<string, string> = {
    "postgresql+asyncpg://u:p@host:5433/db": "postgresql://u:p@host:5433/db",
    "postgres://u:p@host/db": "postgresql://u:p@host/db",
    "postgresql://host": "postgresql://host",
    "postgresql://u@[::1]:5432/db": "postgresql://u@[::1]:5432/db",
    "postgresql:///db?host=%2Ftmp": "postgresql:///db?host=%2Ftmp",
    "postgresql://u:p%40ss%2F@host/db": "postgresql://u:p%40ss%2F@host/db",
  };
  for (const [url, expected] of Object.entries(urls)) assert.equal(postgres(url).url, expected);
});

Deno.test("the password is known as the server gets it, and masked in the location", () => {
  const target = postgres("postgresql+asyncpg://u:p%40s%2Fs@host/db");
  assert.equal(target.password, "p@s/s");
  assert.equal(target.location, "postgresql+asyncpg://u:***@host/db");
  assert.equal(postgres("postgresql://host/db?password=hidden").password, "hidden");
});

Deno.test("sslmode is honoured, and verify-full is said where the driver means it", () => {
  const modes: [string, string][] = [
    ["", ""],
    ["?sslmode=disable", "?sslmode=disable"],
    ["?sslmode=no-verify", "?sslmode=no-verify"],
    ["?sslmode=require", "?sslmode=verify-full"],
    ["?sslmode=verify-full&application_name=x", "?sslmode=verify-full&application_name=x"],
    ["?ssl=require", "?sslmode=verify-full"],
    ["?sslmode=require&uselibpqcompat=true", "?sslmode=require&uselibpqcompat=true"],
  ];
  for (const [given, expected] of modes) {
    assert.equal(postgres(`postgresql://host/db${given}`).url, `postgresql://host/db${expected}`);
  }
  assert.throws(() => postgres("postgresql://host/db?sslmode=yes"), refusal("usage", /unknown sslmode, wanted one of/));
});

Deno.test("any other URL is refused with the accepted forms", () => {
  for (const url of ["", "rlcf.db", "mysql://u:secret@host/db", "sqlite:rel.db", "sqlite:/abs.db", "postgres:db"]) {
    assert.throws(() => parseDatabaseUrl(url), (error: RlcfError) => {
      assert.ok(refusal("usage", /sqlite:\/\/\/relative\.db.*postgresql:\/\//)(error));
      assert.ok(!error.message.includes("secret"));
      return true;
    });
  }
  assert.throws(() => parseDatabaseUrl("sqlite://rel.db"), refusal("usage", /two slashes/));
  assert.throws(() => parseDatabaseUrl("sqlite:///rel.db?mode=ro"), refusal("usage", /parameters/));
});

Deno.test("a password that is not escaped is refused and not shown", () => {
  const urls = [
    "postgresql://u:sec/ret@host/db",
    "postgresql://u:sec?ret@host/db",
    "postgresql://u:sec#ret@host/db",
    "postgresql://u:sec%ret@host/db",
    "postgresql://u:12/ret@host/db",
    "postgresql://u:sec:ret@host:port/db",
  ];
  for (const url of urls) {
    assert.throws(() => parseDatabaseUrl(url), (error: RlcfError) => {
      assert.ok(refusal("usage", /cannot use the database URL/)(error));
      assert.doesNotMatch(`${error.message} ${error.hint}`, /sec|ret/);
      assert.match(error.hint ?? "", /%40/);
      return true;
    });
  }
});

function postgres(url: string): PostgresTarget {
  const target = parseDatabaseUrl(url);
  assert.equal(target.dialect, "postgres");
  return target as PostgresTarget;
}

Deno.test("limits of time are whole numbers", () => {
  for (const name of ["connect_timeout", "query_timeout", "statement_timeout"]) {
    const target = parseDatabaseUrl(`postgresql://h/d?${name}=5`);
    assert.ok(target.dialect === "postgres" && target.url.includes(`${name}=5`));
    for (const value of ["0", "-1", "1.5", "5s", ""]) {
      assert.throws(
        () => parseDatabaseUrl(`postgresql://h/d?${name}=${value}`),
        refusal("usage", new RegExp(`found no ${name}`)),
      );
    }
  }
});
