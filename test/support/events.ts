import type { TestGround } from "./application.ts";

/** What the events of one name told, in order: their lines in the log without what every line has. */
export function toldBy({ logged }: Pick<TestGround, "logged">, event: string): Record<string, unknown>[] {
  return logged
    .filter((line) => line.event === event)
    .map(({ level, time, service, version, event, msg, ...told }) => told);
}
