import { globSync } from "node:fs";
import { mkdir, open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { crc32, deflateRaw } from "node:zlib";

const deflate = promisify(deflateRaw);

/** 1980-01-01 00:00, the earliest time a zip can tell: the same files make the same archive. */
const dosDate = 0x0021;
const unixFile = 0o100644;

interface Entry {
  readonly name: Buffer;
  readonly crc: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  readonly offset: number;
}

/**
 * Packs a directory as a zip archive (PKWARE APPNOTE 6.3.10; sections 4.3.7, 4.3.12 and 4.3.16), every file deflated,
 * in the order of their names. Files and archive stay below 4 GiB, so no Zip64.
 */
export async function zipDirectory(directory: string, archive: string): Promise<{ sizeBytes: number }> {
  await mkdir(path.dirname(archive), { recursive: true });
  const output = await open(archive, "w");
  try {
    const entries: Entry[] = [];
    let offset = 0;
    const files = globSync("**/*", { cwd: directory, exclude: () => false }).sort();
    for (const file of files) {
      if (!(await stat(path.join(directory, file))).isFile()) continue;
      const content = await readFile(path.join(directory, file));
      const packed = await deflate(content, { level: 6 });
      const entry: Entry = {
        name: Buffer.from(file.split(path.sep).join("/")),
        crc: crc32(content),
        packedBytes: packed.byteLength,
        sizeBytes: content.byteLength,
        offset,
      };
      const head = localHeader(entry);
      await output.writev([head, packed]);
      offset += head.byteLength + packed.byteLength;
      entries.push(entry);
    }
    const directoryBytes = Buffer.concat(entries.map(centralHeader));
    const end = endRecord(entries.length, directoryBytes.byteLength, offset);
    await output.writev([directoryBytes, end]);
    return { sizeBytes: offset + directoryBytes.byteLength + end.byteLength };
  } finally {
    await output.close();
  }
}

/** Version needed, flags (UTF-8 names), method (deflate), time, date, CRC, sizes, length of the name, no extra field. */
function described({ name, crc, packedBytes, sizeBytes }: Entry): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(0x0800, 2);
  fields.writeUInt16LE(8, 4);
  fields.writeUInt16LE(0, 6);
  fields.writeUInt16LE(dosDate, 8);
  fields.writeUInt32LE(crc, 10);
  fields.writeUInt32LE(packedBytes, 14);
  fields.writeUInt32LE(sizeBytes, 18);
  fields.writeUInt16LE(name.byteLength, 22);
  fields.writeUInt16LE(0, 24);
  return fields;
}

function localHeader(entry: Entry): Buffer {
  return Buffer.concat([signature(0x04034b50), described(entry), entry.name]);
}

function centralHeader(entry: Entry): Buffer {
  const madeBy = Buffer.from([63, 3]); // version 6.3, Unix
  const rest = Buffer.alloc(14); // no comment, disk 0, no internal attributes
  rest.writeUInt32LE((unixFile << 16) >>> 0, 6);
  rest.writeUInt32LE(entry.offset, 10);
  return Buffer.concat([signature(0x02014b50), madeBy, described(entry), rest, entry.name]);
}

function endRecord(entries: number, directoryBytes: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  signature(0x06054b50).copy(end);
  end.writeUInt16LE(entries, 8);
  end.writeUInt16LE(entries, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(offset, 16);
  return end;
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
