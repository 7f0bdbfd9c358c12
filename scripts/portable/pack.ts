/**
 * One file for Linux that holds this Deno and the program: a shell script with two gzip streams behind it. No archive
 * format, so that nothing but gzip is needed to unpack it, and nothing but two files can come out of it.
 *
 * @module
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import manifest from "../../deno.json" with { type: "json" };
import { RUNTIME_FLAGS } from "../compile/runtime_flags.ts";

/** What goes into the file, and where it is written. */
export interface Packing {
  /** Path of the bundled program. */
  readonly program: string;
  /** Path of the executable. */
  readonly output: string;
  /** What the script says of its origin. */
  readonly commit: string;
  /** Effort of gzip, 1 to 9. */
  readonly level: number;
}

const LAUNCHER = new URL("launcher.sh", import.meta.url);
/** The machines by Linux' names (`uname -m`). */
const MACHINES: Readonly<Record<typeof Deno.build.arch, string>> = { x86_64: "x86_64", aarch64: "aarch64" };

/** Packs this Deno and the program. Same inputs, same bytes. */
export async function packPortable({ program, output, commit, level }: Packing): Promise<void> {
  if (Deno.build.os !== "linux") {
    throw new Error(`--portable packs a running Deno for Linux: found ${Deno.build.os}, wanted linux`);
  }
  const [deno, script] = await Promise.all([pack(Deno.execPath(), level), pack(program, level)]);
  if (new TextDecoder("latin1").decode(deno.bytes.subarray(1, 4)) !== "ELF") {
    throw new Error(
      `--portable packs the running Deno: found ${Deno.execPath()}, which is a launcher, wanted its binary`,
    );
  }
  const packed = new Uint8Array(deno.packed.length + script.packed.length);
  packed.set(deno.packed);
  packed.set(script.packed, deno.packed.length);
  const packedSha256 = await sha256(packed);
  const header = await launcher((offset) => ({
    total: offset + packed.length,
    packed_sha256: packedSha256,
    machine: MACHINES[Deno.build.arch],
    deno: `deno-${deno.sha256.slice(0, 16)}`,
    deno_bytes: deno.bytes.length,
    deno_sha256: deno.sha256,
    deno_at: offset + 1,
    deno_packed: deno.packed.length,
    program: `rlcf-${script.sha256.slice(0, 16)}.js`,
    program_bytes: script.bytes.length,
    program_sha256: script.sha256,
    program_at: offset + deno.packed.length + 1,
    program_packed: script.packed.length,
  }), commit);
  const temporary = `${output}.part`;
  await Deno.writeFile(temporary, header, { mode: 0o755 });
  await Deno.writeFile(temporary, packed, { append: true });
  await Deno.chmod(temporary, 0o755);
  await Deno.rename(temporary, output);
}

/** A file, as it is and compressed. */
interface Packed {
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly packed: Uint8Array;
}

async function pack(path: string, level: number): Promise<Packed> {
  const bytes = await Deno.readFile(path);
  return { bytes, sha256: await sha256(bytes), packed: await promisify(gzip)(bytes, { level }) };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * The script with its facts filled in.
 *
 * @param factsAt shell variables, given the script's own length, on which some of them depend
 */
async function launcher(
  factsAt: (length: number) => Readonly<Record<string, string | number>>,
  commit: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const template = await Deno.readTextFile(LAUNCHER);
  const texts = {
    VERSION: manifest.version,
    COMMIT: commit,
    DENO: Deno.version.deno,
    MACHINE: MACHINES[Deno.build.arch],
    FLAGS: RUNTIME_FLAGS.join(" "),
  };
  let length = 0;
  while (true) {
    const facts = Object.entries(factsAt(length)).map(([name, value]) => `${name}=${value}`).join(" ");
    const filled = template.replace(/@([A-Z]+)@/g, (_, name: keyof typeof texts) => texts[name]);
    const header = new TextEncoder().encode(filled.replace("\nset -fu\n", `\nset -fu\n${facts}\n`));
    // The length is part of the text: it is right as soon as it does not change any more.
    if (header.length === length) return header;
    length = header.length;
  }
}
