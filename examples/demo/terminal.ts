import { stdout } from "node:process";

const live = stdout.isTTY === true;
const colour = live && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const green = paint(32);
export const red = paint(31);
export const yellow = paint(33);

export function say(text = ""): void {
  stdout.write(`${text}\n`);
}

/** A numbered heading with one sentence about what follows. */
export function heading(step: number, title: string, sentence: string): void {
  say(`\n${bold(`${step}. ${title}`)}`);
  say(dim(`   ${sentence}`));
}

/** A bar that redraws itself in a terminal; elsewhere only its end is written. */
export function progressBar(label: string): {
  update(done: number, message?: string): void;
  end(message: string): void;
} {
  const width = 24;
  const line = (done: number, message: string) => {
    const filled = Math.round(Math.max(0, Math.min(1, done)) * width);
    const percent = `${Math.round(done * 100)}`.padStart(3);
    return `   ${label.padEnd(20)} ${"█".repeat(filled)}${dim("░".repeat(width - filled))} ${percent} %  ${message}`;
  };
  return {
    update(done, message = "") {
      if (live) stdout.write(`\r\u001b[2K${line(done, dim(message.slice(0, 48)))}`);
    },
    end(message) {
      stdout.write(`${live ? "\r\u001b[2K" : ""}${line(1, message)}\n`);
    },
  };
}

/** Columns are as wide as their widest cell; numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === "number" ? numberText(cell) : cell)));
  const widths = head.map((title, column) =>
    Math.max(width(title), ...cells.map((row) => width(row[column] ?? ""))),
  );
  const right = head.map((_, column) => rows.every((row) => typeof row[column] === "number"));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => pad(cell, widths[column] ?? 0, right[column] === true)).join("  ");
  say(`   ${dim(line(head))}`);
  for (const row of cells) say(`   ${line(row)}`);
}

/** One bar per label, the longest one filling the width. */
export function histogram(
  entries: readonly { readonly label: string; readonly value: number; readonly note?: string }[],
): void {
  const largest = Math.max(...entries.map((entry) => entry.value), 1);
  const labelWidth = Math.max(...entries.map((entry) => entry.label.length));
  for (const { label, value, note } of entries) {
    const bar = "█".repeat(Math.max(value > 0 ? 1 : 0, Math.round((value / largest) * 32)));
    say(`   ${label.padEnd(labelWidth)} ${bar} ${dim(note ?? String(value))}`);
  }
}

function numberText(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(4);
}

/** Without the codes that colour it. */
function width(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
  return text.replace(/\u001b\[\d+m/g, "").length;
}

function pad(text: string, to: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, to - width(text)));
  return right ? space + text : text + space;
}
