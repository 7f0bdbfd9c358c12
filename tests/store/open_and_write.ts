/**
 * A process of its own that opens the store named by its argument, writes one trace, prints how many there are and
 * ends; with `--keep-open` it ends without closing.
 *
 * @module
 */
import { createPersistence } from "../../src/store/create.ts";
import { sampledTrace } from "./records.ts";

const [url, keepOpen] = Deno.args;
const store = await createPersistence(url);
await store.saveTrace(sampledTrace("q"));
await Deno.stdout.write(new TextEncoder().encode(`${(await store.getTrainingStats()).total_traces}\n`));
if (keepOpen === undefined) await store.close();
