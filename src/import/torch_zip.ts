/**
 * The ZIP container of a torch checkpoint, as `torch.save` writes it: entries stored without compression, sizes and
 * checksums in the central directory (PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16).
 *
 * Nothing is unpacked, so nothing can be larger than the file: an entry is a view of its bytes, and its checksum is
 * verified before anyone sees them. Compressed, encrypted, split and overlapping entries are refused, as is a directory
 * that the file's end does not lead to exactly.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { RlcfError } from "../base/errors.ts";

/** The entries of an archive. */
export interface TorchArchive {
  /** The names of the entries, in the order of the directory. */
  readonly names: readonly string[];
  /** The content of an entry; undefined if there is none of this name. Throws if its checksum is wrong. */
  read(name: string): Uint8Array<ArrayBuffer> | undefined;
}

/** An entry of the directory, its content found and inside the file. */
interface Entry {
  readonly name: string;
  /** Where its local header begins. */
  readonly start: number;
  /** Its content, from `begin` to before `end`. */
  readonly begin: number;
  readonly end: number;
  readonly crc: number;
}

const LOCAL = { signature: 0x04034b50, bytes: 30 } as const;
const CENTRAL = { signature: 0x02014b50, bytes: 46 } as const;
const END = { signature: 0x06054b50, bytes: 22 } as const;
/** torch writes the 64-bit end in front of the plain one, and a locator between the two. */
const END_64 = { signature: 0x06064b50, bytes: 56 } as const;
const LOCATOR_64 = { signature: 0x07064b50, bytes: 20 } as const;
/** A network has tens of tensors. */
const MAX_ENTRIES = 4096;
const STORED = 0;
const [ENCRYPTED, STRONGLY_ENCRYPTED, MASKED] = [1, 1 << 6, 1 << 13];

/**
 * Reads the directory of an archive and checks all of it.
 *
 * @param where the file, for messages
 * @throws RlcfError `checkpoint` for anything but a whole archive of stored entries
 */
export function readTorchZip(bytes: Uint8Array<ArrayBuffer>, where: string): TorchArchive {
  const refuse = (reason: string): never => {
    throw new RlcfError("checkpoint", `cannot read ${where}: ${reason}`);
  };
  const entries = new Reader(bytes, refuse).entries();
  const sound = new Set<Entry>();
  return {
    names: [...entries.keys()],
    read: (name) => {
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      const content = bytes.subarray(entry.begin, entry.end);
      if (!sound.has(entry) && crc32(content) !== entry.crc) {
        refuse(`entry ${quoted(name)} is damaged, its checksum does not match`);
      }
      sound.add(entry);
      return content;
    },
  };
}

class Reader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #refuse: (reason: string) => never;

  constructor(bytes: Uint8Array<ArrayBuffer>, refuse: (reason: string) => never) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#refuse = refuse;
  }

  entries(): Map<string, Entry> {
    const { count, offset, end } = this.#directory();
    const entries = new Map<string, Entry>();
    let at = offset;
    for (let i = 0; i < count; i++) {
      const { entry, next } = this.#entry(at, end, offset);
      if (entries.has(entry.name)) this.#refuse(`entry ${quoted(entry.name)} appears twice`);
      entries.set(entry.name, entry);
      at = next;
    }
    if (at !== end) this.#refuse(`the directory ends at byte ${at}, wanted ${end}`);
    let filled = 0;
    for (const entry of [...entries.values()].toSorted((a, b) => a.start - b.start)) {
      if (entry.start < filled) this.#refuse(`entry ${quoted(entry.name)} overlaps the one in front of it`);
      filled = entry.end;
    }
    return entries;
  }

  /** Where the directory lies and how many entries it has, as the last bytes of the file say. */
  #directory(): { count: number; offset: number; end: number } {
    const start = this.#bytes.length - END.bytes;
    // torch writes no comment; looking for one further ahead would let a file have two ends.
    if (start < 0 || this.#u32(start) !== END.signature) {
      this.#refuse("the end of a ZIP archive is missing: the file is cut off, or no torch checkpoint");
    }
    const disks = [this.#u16(start + 4), this.#u16(start + 6)];
    const count = this.#u16(start + 10);
    if (disks.some((disk) => disk !== 0) || this.#u16(start + 8) !== count) this.#refuse("the archive is split");
    const [size, offset] = [this.#u32(start + 12), this.#u32(start + 16)];
    if (count === 0xffff || size === 0xffffffff || offset === 0xffffffff) {
      this.#refuse("the archive is larger than 4 GiB, wanted the checkpoint of a small network");
    }
    if (count > MAX_ENTRIES) this.#refuse(`the archive has ${count} entries, wanted at most ${MAX_ENTRIES}`);
    const end = offset + size;
    const between = start - end;
    const has64 = between === END_64.bytes + LOCATOR_64.bytes && this.#u32(end) === END_64.signature &&
      this.#u32(end + END_64.bytes) === LOCATOR_64.signature;
    if (between !== 0 && !has64) {
      this.#refuse(`the directory ends at byte ${end}, wanted ${start}, where the archive's end begins`);
    }
    if (has64 && (this.#u64(end + 32) !== count || this.#u64(end + 40) !== size || this.#u64(end + 48) !== offset)) {
      this.#refuse("the two ends of the archive contradict each other");
    }
    return { count, offset, end };
  }

  #entry(at: number, end: number, directory: number): { entry: Entry; next: number } {
    if (at + CENTRAL.bytes > end || this.#u32(at) !== CENTRAL.signature) {
      this.#refuse(`no entry of the directory begins at byte ${at}`);
    }
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => this.#u16(at + field)) as number[];
    const next = at + CENTRAL.bytes + nameBytes! + extraBytes! + commentBytes!;
    if (next > end) this.#refuse(`the entry at byte ${at} leaves the directory`);
    const name = this.#text(at + CENTRAL.bytes, nameBytes!);
    const label = `entry ${quoted(name)}`;
    const flags = this.#u16(at + 8);
    if ((flags & (ENCRYPTED | STRONGLY_ENCRYPTED | MASKED)) !== 0) this.#refuse(`${label} is encrypted`);
    const [method, size, unpacked] = [this.#u16(at + 10), this.#u32(at + 20), this.#u32(at + 24)];
    if (method !== STORED || size !== unpacked) {
      this.#refuse(`${label} is compressed (method ${method}), wanted it stored, as torch.save does`);
    }
    const start = this.#u32(at + 42);
    if (start + LOCAL.bytes > directory || this.#u32(start) !== LOCAL.signature) {
      this.#refuse(`${label} does not begin at byte ${start}`);
    }
    // The local header repeats the name; its sizes may be left to a descriptor after the content.
    if (
      this.#u16(start + 26) !== nameBytes || this.#u16(start + 8) !== method || start + LOCAL.bytes + nameBytes! >
        directory ||
      this.#text(start + LOCAL.bytes, nameBytes!) !== name
    ) this.#refuse(`${label}: its two headers contradict each other`);
    const begin = start + LOCAL.bytes + nameBytes! + this.#u16(start + 28);
    if (begin + size > directory) this.#refuse(`${label} leaves the part of the file in front of the directory`);
    return { entry: { name, start, begin, end: begin + size, crc: this.#u32(at + 16) }, next };
  }

  #text(at: number, length: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.#bytes.subarray(at, at + length));
    } catch {
      return this.#refuse(`the name at byte ${at} is not UTF-8`);
    }
  }

  #u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #u64(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }
}

function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);
}
