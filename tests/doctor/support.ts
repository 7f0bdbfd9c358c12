/**
 * An installation to examine: a database with a log, and a checkpoint directory with a trained version.
 *
 * @module
 */
import { join } from "node:path";
import { type Examination, examine, treat, type Treatment } from "../../src/doctor/examine.ts";
import type { Check, Finding } from "../../src/doctor/finding.ts";
import { databaseCheck } from "../../src/doctor/database.ts";
import type { Patient } from "../../src/doctor/patient.ts";
import type { FlagValues } from "../../src/config/resolve.ts";
import { trainSession } from "../../src/session/train_session.ts";
import { inspectStore } from "../../src/store/inspection.ts";
import { drawnRecords, settings } from "../session/support.ts";
import { testOnEach, type TestStore } from "../store/databases.ts";

/** A database and a directory under examination. */
export class Clinic implements Disposable {
  /** The checkpoint directory. */
  readonly root: string = Deno.makeTempDirSync({ prefix: "rlcf-doctor-" });

  constructor(readonly on: TestStore) {}

  /** Trains so many versions on a small log, each made active. */
  async train(versions = 1): Promise<string[]> {
    await this.on.store.ingest(drawnRecords(60, 1));
    const { config, configJson } = settings(this.root, { "checkpoint.activate": "always" });
    const trained: string[] = [];
    for (let i = 0; i < versions; i++) {
      trained.push((await trainSession({ store: this.on.store, config, configJson })).version);
    }
    return trained;
  }

  /** Runs some work on a patient that is opened anew. */
  async with<T>(work: (patient: Patient) => Promise<T>, flags: FlagValues = {}): Promise<T> {
    const inspection = await inspectStore(this.on.url, 2);
    try {
      const { config } = settings(this.root, flags);
      return await work({ config, notices: [], inspection, location: inspection?.location ?? this.on.url });
    } finally {
      await inspection?.[Symbol.asyncDispose]();
    }
  }

  /** What a check finds. */
  async findings(check: Check, flags: FlagValues = {}): Promise<readonly Finding[]> {
    return (await this.examine([databaseCheck, check], flags)).findings;
  }

  /** What some checks find. */
  examine(checks?: readonly Check[], flags: FlagValues = {}): Promise<Examination> {
    return this.with((patient) => examine(patient, checks), flags);
  }

  /** Mends what a check finds. */
  treat(check: Check): Promise<Treatment[]> {
    return this.with(async (patient) => await treat((await examine(patient, [databaseCheck, check])).findings));
  }

  /** The path of something in the checkpoint directory. */
  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** The names in the checkpoint directory, sorted. */
  names(): string[] {
    return [...Deno.readDirSync(this.root)].map(({ name }) => name).sort();
  }

  /** Changes a byte in the middle of a file. */
  damage(...names: string[]): void {
    const bytes = Deno.readFileSync(this.path(...names));
    bytes[bytes.length >> 1]! ^= 1;
    Deno.writeFileSync(this.path(...names), bytes);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** Registers one test for each database. */
export function clinicTest(name: string, test: (clinic: Clinic) => Promise<void>): void {
  testOnEach(name, async (on) => {
    using clinic = new Clinic(on);
    await test(clinic);
  });
}

/** What is said of a finding, without its closures. */
export function said(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, what }) => `${severity}: ${what}`);
}
