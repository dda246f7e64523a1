/** A day or a time of a request, in UTC whether it says so or not, as ISO 8601 with its zone. */
export function isoInstant(text: string): string {
  if (!text.includes("T")) return `${text}T00:00:00Z`;
  return text.endsWith("Z") ? text : `${text}Z`;
}

/** NaN when it is none. */
export function instantMs(text: string): number {
  return Date.parse(isoInstant(text));
}
