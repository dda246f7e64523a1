import { readFile } from "node:fs/promises";
import path from "node:path";
import { type FlightsSample, flightsFile, writeFlights } from "../../examples/demo/flights.ts";
import { inScratchDirectory } from "../../shared/scratch/index.ts";

export { flightsFile };

/** A sample of real flights as the bytes of a file; see examples/demo/flights.ts for what they hold. */
export async function flightsBytes(sample: FlightsSample): Promise<Uint8Array> {
  return inScratchDirectory(async (directory) => {
    const file = path.join(directory, `flights.${sample.format}`);
    await writeFlights(file, sample);
    return await readFile(file);
  });
}
