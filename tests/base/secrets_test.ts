import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { maskedUrl } from "../../src/base/secrets.ts";

Deno.test("the password of a database URL is masked and the rest stays", () => {
  equal(
    maskedUrl("postgresql+asyncpg://user:pass@localhost:5432/merl_t_rlcf"),
    "postgresql+asyncpg://user:***@localhost:5432/merl_t_rlcf",
  );
  equal(
    maskedUrl("postgres://u:p%40s%2Fs@[::1]:5432/db?sslmode=require"),
    "postgres://u:***@[::1]:5432/db?sslmode=require",
  );
  equal(maskedUrl("postgres://:hidden@h/db"), "postgres://:***@h/db");
});

Deno.test("a URL without a password stays as it is", () => {
  const urls = [
    "postgres://user@host/db",
    "postgresql://host:5432/db?application_name=rlcf",
    "postgresql://[::1]:5432/db",
    "postgresql://a:5432,b:5433/db",
    "postgresql:///db?host=/run/postgresql",
    "sqlite+aiosqlite:///rlcf_dev.db",
    "sqlite:////var/lib/rlcf.db",
    "sqlite://",
    ":memory:",
    "",
    "not a URL",
    "https://sso.firm.it:8443/u/anna@firm.it",
    "http://localhost:80?to=a@b",
    "https://[::1]:8443/a:b@c",
  ];
  for (const url of urls) equal(maskedUrl(url), url);
});

Deno.test("a password in a parameter is masked, however its name is written", () => {
  equal(
    maskedUrl("postgres://h/db?user=u&password=hidden&sslmode=no"),
    "postgres://h/db?user=u&password=***&sslmode=no",
  );
  equal(maskedUrl("postgres://h/db?PassWord=hid@den"), "postgres://h/db?PassWord=***");
  equal(maskedUrl("postgres://h/db?p%61ssword=hidden"), "postgres://h/db?p%61ssword=***");
  equal(maskedUrl("postgres://h/db?sslpassword=a#b"), "postgres://h/db?sslpassword=***");
  equal(maskedUrl("host=h user=u password=hidden"), "host=h user=u password=***");
});

Deno.test("a malformed URL does not show its password either", () => {
  const urls = [
    "postgres://u:hid@den/hidden@h/db",
    "postgres://u:hid?den#hidden@h/db",
    "postgres://u:hidden",
    "postgres://u:hidden/db",
    "postgres://u:hidden%40h/db",
    "postgres://u%3Ahidden@h/db",
    "postgres:/u:hidden@h/db",
    "postgresql:u:hidden@h/db",
    "u:hidden@h/db",
    "postgres//u:hidden@h/db",
    " postgres://u:hidden@h/db",
    "postgres://u:hidden@h:port:99/db",
    "POSTGRES://u:hidden@h/db",
    "postgres://u:%zz%hidden@h/db?password=%zzhidden",
    "postgres://u:hid?pass=den@h/db",
    "postgres://u:hidpass=den@h/db",
    "postgres://u:hidden@h/db?password=hid@den",
    "postgres://h:5432/db?password=hid:den@hidden",
    "postgres://h/db?password=hid:den@hidden",
    "https://u:hidden@h:443/p",
    "https://u:hid/den@h",
    "https://h:443/x@y?password=hidden",
  ];
  for (const url of urls) {
    const masked = maskedUrl(url);
    ok(masked.includes("***") && !/hid|den/.test(masked), `${url} became ${masked}`);
  }
});

Deno.test("no password survives in a URL, whatever its characters, and masking twice changes nothing", () => {
  // A password that itself holds `pass=` or the like hides the host too; such are in the case above.
  const password = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(password, (secret) => {
      const masked = maskedUrl(`postgresql://rlcf:${secret}@db.example.org:5432/rlcf`);
      equal(masked, "postgresql://rlcf:***@db.example.org:5432/rlcf");
      equal(maskedUrl(masked), masked);
    }),
    { seed: 1, numRuns: 500 },
  );
});
