/**
 * Reads a pickle without running anything. Python's pickle is a program for a small stack machine that may name any
 * function of the reader's Python and call it; this one knows the opcodes with which plain data and torch's tensors are
 * written, and a table of the names that may be called. Whatever is not in the two is refused by its name.
 *
 * Every opcode adds at most one value, texts are no longer than the input, and no opcode jumps: time and memory are
 * bounded by the input, whose size the caller bounds. Values may still share parts, or hold themselves: whoever walks
 * through them must bound the walk.
 *
 * Source of the opcodes: CPython's `Lib/pickletools.py`, protocols 2 to 4.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { PickleGlobal, PickleObject, type PickleValue, type PickleWorld } from "./pickle_values.ts";

/** Largest pickle: the structure of a checkpoint; its numbers lie beside it. */
export const MAX_PICKLE_BYTES = 8 * 1024 * 1024;

const MARK = Symbol("mark");
type Stacked = PickleValue | typeof MARK;

/**
 * The value that a pickle describes.
 *
 * @param where the file, for messages
 * @throws RlcfError `checkpoint` for an opcode or a name that is not known here, or a pickle that is damaged
 */
export function readPickle(bytes: Uint8Array, world: PickleWorld, where: string): PickleValue {
  if (bytes.length > MAX_PICKLE_BYTES) {
    throw new RlcfError(
      "checkpoint",
      `cannot read ${where}: ${bytes.length} bytes, wanted at most ${MAX_PICKLE_BYTES}`,
    );
  }
  return new Machine(bytes, world, where).run();
}

/** A dict that may still change; {@link PickleValue} shows it as read-only. */
type Dict = Map<string | number, PickleValue>;

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #world: PickleWorld;
  readonly #where: string;
  readonly #stack: Stacked[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #at = 0;

  constructor(bytes: Uint8Array, world: PickleWorld, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#world = world;
    this.#where = where;
  }

  run(): PickleValue {
    while (true) {
      const opcode = this.#byte();
      if (opcode === 0x2e) { // . STOP
        const value = this.#pop();
        if (this.#stack.length > 0) this.#refuse("values are left on its stack");
        return value;
      }
      this.#step(opcode);
    }
  }

  #step(opcode: number): void {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.#byte() > 5) this.#refuse("its protocol is newer than 5");
        return;
      case 0x95: // FRAME: a hint for readers of streams
        return this.#skip(8);
      case 0x28: // ( MARK
        return void this.#stack.push(MARK);
      case 0x4e: // N NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x4b: // K BININT1
        return this.#push(this.#byte());
      case 0x4d: // M BININT2
        return this.#push(this.#view.getUint16(this.#skipped(2), true));
      case 0x4a: // J BININT
        return this.#push(this.#view.getInt32(this.#skipped(4), true));
      case 0x8a: // LONG1
        return this.#push(this.#long(this.#byte()));
      case 0x47: // G BINFLOAT
        return this.#push(this.#view.getFloat64(this.#skipped(8), false));
      case 0x58: // X BINUNICODE
        return this.#push(this.#text(this.#view.getUint32(this.#skipped(4), true)));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(this.#text(this.#byte()));
      case 0x43: // C SHORT_BINBYTES
        return this.#push(this.#slice(this.#byte()));
      case 0x42: // B BINBYTES
        return this.#push(this.#slice(this.#view.getUint32(this.#skipped(4), true)));
      case 0x29: // ) EMPTY_TUPLE
        return this.#push([]);
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.#push(this.#popMany(opcode - 0x84));
      case 0x74: // t TUPLE
        return this.#push(this.#popToMark());
      case 0x5d: // ] EMPTY_LIST
        return this.#push([]);
      case 0x61: // a APPEND
        return this.#append([this.#pop()]);
      case 0x65: // e APPENDS
        return this.#append(this.#popToMark());
      case 0x7d: // } EMPTY_DICT
        return this.#push(new Map());
      case 0x73: // s SETITEM
        return this.#set(this.#popMany(2));
      case 0x75: // u SETITEMS
        return this.#set(this.#popToMark());
      case 0x71: // q BINPUT
        return void this.#memo.set(this.#byte(), this.#top());
      case 0x72: // r LONG_BINPUT
        return void this.#memo.set(this.#view.getUint32(this.#skipped(4), true), this.#top());
      case 0x94: // MEMOIZE
        return void this.#memo.set(this.#memo.size, this.#top());
      case 0x68: // h BINGET
        return this.#get(this.#byte());
      case 0x6a: // j LONG_BINGET
        return this.#get(this.#view.getUint32(this.#skipped(4), true));
      case 0x63: // c GLOBAL
        return this.#global(this.#line(), this.#line());
      case 0x93: { // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") this.#refuse("a name is no text");
        return this.#global(module as string, name as string);
      }
      case 0x51: // Q BINPERSID
        return this.#push(this.#world.persistent(this.#pop()));
      case 0x52: // R REDUCE
        return this.#reduce(this.#popMany(2));
      case 0x62: // b BUILD
        return this.#build(this.#pop());
      default:
        this.#refuse(
          `opcode 0x${opcode.toString(16).padStart(2, "0")} at byte ${this.#at - 1} is not used by torch.save`,
        );
    }
  }

  #global(module: string, name: string): void {
    const full = `${module}.${name}`;
    const known = this.#world.globals.get(full);
    if (known === undefined) {
      this.#refuse(`it wants to call or build ${JSON.stringify(full.slice(0, 200))}, which is no part of a state dict`);
    }
    this.#push(known as PickleGlobal);
  }

  #reduce([callable, args]: readonly PickleValue[]): void {
    if (!(callable instanceof PickleGlobal) || callable.call === undefined || !Array.isArray(args)) {
      return this.#refuse("it calls something that is no function");
    }
    this.#push(callable.call(args));
  }

  /** Attributes of a dict (`state_dict()._metadata`) say nothing about the numbers and are passed over. */
  #build(state: PickleValue): void {
    const target = this.#top();
    if (target instanceof Map) return;
    const objection = target instanceof PickleObject ? target.build(state) : "it gives a state to a plain value";
    if (objection !== undefined) this.#refuse(objection);
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) return this.#refuse("it appends to something that is no list");
    for (const value of values) list.push(value);
  }

  #set(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) {
      return this.#refuse("it sets items of something that is no dict");
    }
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== "string" && typeof key !== "number") return this.#refuse("a key is no text and no number");
      (dict as Dict).set(key, items[i + 1]!);
    }
  }

  #get(place: number): void {
    const value = this.#memo.get(place);
    if (value === undefined) this.#refuse(`it refers to value ${place}, which there is not`);
    this.#push(value as PickleValue);
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) return this.#refuse("it takes a value that there is not");
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) return this.#refuse("it takes a value that there is not");
    return value;
  }

  #popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #popToMark(): PickleValue[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark === -1) this.#refuse("it takes values up to a mark that there is not");
    const values = this.#stack.splice(mark).slice(1);
    return values as PickleValue[];
  }

  #long(length: number): number {
    let value = 0n;
    const bytes = this.#slice(length);
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i]!);
    if (length > 0 && bytes[length - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    return Number(value);
  }

  #text(length: number): string {
    try {
      // BOM kept, so that no two texts of a pickle become one key.
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#slice(length));
    } catch (thrown) {
      if (thrown instanceof RlcfError) throw thrown;
      return this.#refuse("a text is not UTF-8");
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end === -1) this.#refuse("it ends in the middle of a name");
    const text = this.#text(end - this.#at);
    this.#at++;
    return text;
  }

  #slice(length: number): Uint8Array {
    const start = this.#skipped(length);
    return this.#bytes.subarray(start, start + length);
  }

  #byte(): number {
    return this.#bytes[this.#skipped(1)]!;
  }

  #skip(length: number): void {
    this.#skipped(length);
  }

  /** Where the next bytes begin, after going past them. */
  #skipped(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) this.#refuse("it is cut off");
    this.#at = start + length;
    return start;
  }

  #refuse(reason: string): never {
    throw new RlcfError("checkpoint", `cannot read ${this.#where}: ${reason}`, {
      hint: "A checkpoint of plain values and tensors can be imported; nothing in the file was run.",
    });
  }
}
