/** Outputs stand beside inputs under this name, as a model may call both alike. */
const outputPrefix = "output:";

export function outputColumn(name: string): string {
  return outputPrefix + name;
}

export function isOutputColumn(column: string): boolean {
  return column.startsWith(outputPrefix);
}
