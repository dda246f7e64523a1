/** Does nothing: asked for only to learn whether anything starts. */
export default function idle(): null {
  return null;
}
